/*
 * The two protected-mode entry points, at 1 MiB and 200h after it (boot.rst, "32-bit Boot Protocol", "64-bit
 * Boot Protocol"). Both enter 64-bit mode on the page tables below and jump to the high half. The first GiB of
 * memory is mapped three times by the same 2 MiB pages: at 0 until the jump, at DIRECT_MAP, and at KERNEL_BASE,
 * where this code is linked. RSI is the address of boot_params all the way.
 */
#include "registers.h"

#define PHYSICAL(symbol)	((symbol) - KERNEL_BASE)
#define DIRECT_MAP		0xffff888000000000	/* mm.h */
#define KERNEL_BASE		0xffffffff80000000
#define PML4_DIRECT_MAP		273	/* bits 47-39 of DIRECT_MAP and of KERNEL_BASE */
#define PML4_KERNEL		511
#define PDPT_KERNEL		510
#define PTE_TABLE		0x003	/* present, writable */
#define PTE_LARGE		0x083	/* present, writable, page size */

	.section .boot, "ax"

/* 32-bit entry: protected mode, paging off, flat segments. To long mode by SDM vol. 3A 10.8.5. */
	.code32
	.globl	entry32
entry32:
	cli
	cld
	movl	$BOOT_CR4, %eax
	movl	%eax, %cr4
	movl	$PHYSICAL(kernel_pml4), %eax
	movl	%eax, %cr3
	movl	$IA32_EFER, %ecx
	movl	$EFER_VALUE, %eax
	xorl	%edx, %edx
	wrmsr
	lgdtl	PHYSICAL(boot_gdt_pointer)
	movl	$CR0_VALUE, %eax	/* sets PG: compatibility mode, until CS is a 64-bit segment */
	movl	%eax, %cr0
	ljmpl	$KERNEL_CS, $PHYSICAL(long_mode)

/* 64-bit entry: long mode on the loader's page tables, which map this image at its physical address. Leaves it. */
	.org	0x200
	.code64
	.globl	entry64
entry64:
	lgdt	boot_gdt_pointer(%rip)
	leaq	boot_stack_top(%rip), %rsp
	pushq	$BOOT_CS
	leaq	1f(%rip), %rax
	pushq	%rax
	lretq
	.code32
1:	movl	$CR0_PROTECTED, %eax
	movl	%eax, %cr0
	jmp	entry32

	.code64
long_mode:
	movq	$high_half, %rax
	jmp	*%rax
high_half:
	movl	$KERNEL_SS, %eax
	.irp	segment, ds, es, ss, fs, gs
	movl	%eax, %\segment
	.endr
	movl	%esi, %ebx			/* boot_params, below 4 GiB */
	xorl	%eax, %eax
	movq	$bss_start, %rdi
	movq	$bss_end, %rcx
	subq	%rdi, %rcx
	shrq	$3, %rcx
	rep stosq
	movq	$boot_stack_top, %rsp
	xorl	%ebp, %ebp
	movq	$DIRECT_MAP, %rdi
	addq	%rbx, %rdi
	call	kernel_main
	ud2

	.balign 8
boot_gdt_pointer:
	.word	8 * 5 - 1			/* arch/descriptors.c: its first segments */
	.quad	PHYSICAL(gdt)

	.data
	.balign 4096
	.globl	kernel_pml4, kernel_pdpt, kernel_pd
kernel_pml4:
	.quad	PHYSICAL(kernel_pdpt) + PTE_TABLE
	.org	kernel_pml4 + 8 * PML4_DIRECT_MAP
	.quad	PHYSICAL(kernel_pdpt) + PTE_TABLE
	.org	kernel_pml4 + 8 * PML4_KERNEL
	.quad	PHYSICAL(kernel_pdpt) + PTE_TABLE
kernel_pdpt:
	.quad	PHYSICAL(kernel_pd) + PTE_TABLE
	.org	kernel_pdpt + 8 * PDPT_KERNEL
	.quad	PHYSICAL(kernel_pd) + PTE_TABLE, 0
kernel_pd:
	.set	page, 0
	.rept	512
	.quad	page + PTE_LARGE
	.set	page, page + 0x200000
	.endr

	.bss
	.balign 16
	.globl	boot_stack, boot_stack_top
boot_stack:	.skip 16384
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
