/*
 * Where a processor begins after the startup message: real mode, CS:IP = TRAMPOLINE / 16:0 (SDM vol. 3A 9.4.4.2).
 * Up to trampoline_end this is copied to TRAMPOLINE. The way to the high half is that of boot/entry.S, on page
 * tables that processors_start() has made for it.
 */
#include "registers.h"

#define KERNEL_BASE	0xffffffff80000000
#define COPIED(symbol)	(TRAMPOLINE + (symbol) - trampoline_start)

	.section .rodata
	.globl	trampoline_start, trampoline_cr3, trampoline_end
	.code16
trampoline_start:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	trampoline_gdt - trampoline_start
	movl	$CR0_PROTECTED, %eax	/* caches on: INIT leaves CD and NW set */
	movl	%eax, %cr0
	ljmpl	$BOOT_CS, $COPIED(1f)
	.code32
1:	movl	$KERNEL_SS, %eax
	.irp	segment, ds, es, ss
	movl	%eax, %\segment
	.endr
	/* FS as applications have it: the first IRETQ to ring 3 would clear a kernel's segment, and its base (SDM vol. 2). */
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$BOOT_CR4, %eax
	movl	%eax, %cr4
	movl	COPIED(trampoline_cr3), %eax
	movl	%eax, %cr3
	movl	$IA32_EFER, %ecx
	movl	$EFER_VALUE, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$CR0_VALUE, %eax
	movl	%eax, %cr0
	ljmpl	$KERNEL_CS, $COPIED(2f)
	.code64
2:	movq	$processor_entry, %rax
	jmp	*%rax
	.balign	8
trampoline_gdt:
	.word	8 * 5 - 1
	.long	gdt - KERNEL_BASE
	.balign	4
trampoline_cr3:
	.long	0
trampoline_end:

	.text
	.type	processor_entry, @function
processor_entry:
	movq	processor_stack, %rsp	/* of the idle thread: smp/start.c */
	xorl	%ebp, %ebp
	call	processor_main
	ud2
	.size	processor_entry, . - processor_entry

	.section .note.GNU-stack, "", @progbits
