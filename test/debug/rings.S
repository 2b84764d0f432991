/*
 * A guest for ring traces: a multiboot kernel of a few instructions that enters 64-bit mode, runs a program at
 * ring 3 that makes system calls, an INT and a page fault, then an application at ring 0 that calls entry code
 * and a kernel function and meets exceptions; and powers off. The application is main.
 */
#define KERNEL_CS 0x08
#define KERNEL_SS 0x10
#define USER_SS 0x1b
#define USER_CS 0x23
#define TSS 0x28
#define PAGES 0x200000
#define UNMAPPED 0x40000000

	.section .text
	.code32
	.globl	_begin
_begin:
	.balign	4
	.long	0x1BADB002, 0x10000, -(0x1BADB002 + 0x10000)
	.long	_begin, _begin, image_end, image_end, start32

	.macro	PHASE name
	.globl	\name
	.type	\name, @function
\name:
	.endm
	.macro	END name
	.size	\name, . - \name
	.endm

/* A 64-bit interrupt gate that every ring may use; handlers lie below 4 GiB. */
	.macro	GATE vector, handler
	movl	$\handler, %eax
	movw	%ax, idt + \vector * 16
	movw	$KERNEL_CS, idt + \vector * 16 + 2
	movw	$0xee00, idt + \vector * 16 + 4
	shrl	$16, %eax
	movw	%ax, idt + \vector * 16 + 6
	.endm

PHASE start32
	movl	$stack_top, %esp
	/* PML4[0] -> PDPT[0] -> 1 GiB of 2-MiB pages, for all rings. */
	movl	$(PAGES + 0x1007), PAGES
	movl	$(PAGES + 0x2007), PAGES + 0x1000
	xorl	%ecx, %ecx
1:	movl	%ecx, %eax
	shll	$21, %eax
	orl	$0x87, %eax
	movl	%eax, PAGES + 0x2000(, %ecx, 8)
	incl	%ecx
	cmpl	$512, %ecx
	jne	1b
	movl	$PAGES, %eax
	movl	%eax, %cr3
	movl	$0x20, %eax			/* PAE */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx		/* IA32_EFER: LME, SCE */
	movl	$0x101, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$0x80010001, %eax
	movl	%eax, %cr0
	movl	$tss, %eax
	movw	%ax, gdt + TSS + 2
	shrl	$16, %eax
	movb	%al, gdt + TSS + 4
	GATE	3, entry_breakpoint
	GATE	14, entry_page_fault
	GATE	0x80, entry_int80
	lgdt	gdt_pointer
	ljmp	$KERNEL_CS, $start64
END start32

	.code64
PHASE start64
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	$KERNEL_SS, %eax
	movl	%eax, %ss
	movl	$TSS, %eax
	ltr	%ax
	lidt	idt_pointer
	movl	$0xc0000081, %ecx		/* IA32_STAR */
	xorl	%eax, %eax
	movl	$((USER_SS - 8) << 16 | KERNEL_CS), %edx
	wrmsr
	movl	$0xc0000082, %ecx		/* IA32_LSTAR */
	movl	$entry_syscall, %eax
	xorl	%edx, %edx
	wrmsr
	pushq	$USER_SS
	pushq	$user_stack_top
	pushq	$2
	pushq	$USER_CS
	pushq	$program
	iretq
END start64

PHASE program
	movl	$1, %eax
	movl	$1, %edi
	movl	$text, %esi
	movl	$9, %edx
	syscall
	movl	$2, %eax			/* open: of a path that is not mapped */
	movl	$UNMAPPED, %edi
	xorl	%esi, %esi
	xorl	%edx, %edx
	syscall
	int	$0x80
	movb	$1, UNMAPPED
	movl	$60, %eax
	xorl	%edi, %edi
	syscall
END program

PHASE entry_syscall
	movq	%rsp, saved_rsp
	movq	$stack_top, %rsp
END entry_syscall
PHASE dispatch_syscall
	cmpl	$60, %eax
	je	run_application
	cmpl	$2, %eax
	movl	$9, %eax
	jne	1f
	movq	$-2, %rax			/* -ENOENT */
1:
END dispatch_syscall
PHASE exit_syscall
	movq	saved_rsp, %rsp
	sysretq
END exit_syscall

PHASE entry_int80
	nop
	iretq
END entry_int80

PHASE entry_page_fault
	addq	$8, %rsp
	pushq	%rax
	movl	$(PAGES + 0x3000 + 7), PAGES + 0x1008	/* PDPT[1] */
	movl	$(0x400000 + 0x87), PAGES + 0x3000
	popq	%rax
	iretq
END entry_page_fault

/* Returns to ring 0 by RET: RIP goes below 128 bytes of red zone. */
PHASE entry_breakpoint
	pushq	%rax
	pushq	%rdx
	movq	16(%rsp), %rax			/* RIP */
	movq	40(%rsp), %rdx			/* RSP */
	movq	%rax, -136(%rdx)
	subq	$136, %rdx
	movq	%rdx, 40(%rsp)
	popq	%rdx
	popq	%rax
	movq	24(%rsp), %rsp
END entry_breakpoint
PHASE exit_breakpoint
	ret	$128
END exit_breakpoint

PHASE run_application
	movq	$stack_top, %rsp
	call	main
	movw	$0x604, %dx
	movw	$0x2000, %ax
	outw	%ax, %dx
	hlt
END run_application

/* System calls of the application, with SYSCALL's convention. */
PHASE entry_ukl
	pushq	%rcx
	call	kernel_work
END entry_ukl
PHASE exit_ukl
	popq	%rcx
	ret
END exit_ukl

PHASE kernel_work
	movl	$5, %eax
	ret
END kernel_work

PHASE main
	subq	$136, %rsp
	movl	$0, %eax
	movl	$3, %edi
	movl	$text, %esi
	movl	$100, %edx
	call	entry_ukl
	call	kernel_work
	int3
	addq	$136, %rsp
	ret
END main

	.section .data
	.balign	16
gdt:
	.quad	0
	.quad	0x00af9b000000ffff		/* KERNEL_CS: 64-bit */
	.quad	0x00cf93000000ffff
	.quad	0x00cff3000000ffff		/* USER_SS */
	.quad	0x00affb000000ffff		/* USER_CS: 64-bit */
	.quad	0x0000890000000067		/* TSS; its base is filled in */
	.quad	0
gdt_pointer:
	.word	. - gdt - 1
	.quad	gdt
idt_pointer:
	.word	129 * 16 - 1
	.quad	idt
text:	.ascii	"Text \"1\"\n\0"
saved_rsp: .quad 0
	.balign	16
tss:	.long	0
	.quad	stack_top
	.fill	92
idt:	.fill	129 * 16
	.fill	4096
stack_top:
	.fill	4096
user_stack_top:
image_end:
	.globl	tss, gdt, idt, image_end, stack_top
