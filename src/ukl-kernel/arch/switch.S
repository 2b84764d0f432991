/* Changing threads: void switch_to(struct thread *from, struct thread *to), with interrupts off. */
#include "registers.h"

	.text
	.globl	switch_to
	.type	switch_to, @function
switch_to:
	.irp	register, rbx, rbp, r12, r13, r14, r15
	pushq	%\register
	.endr
	movq	%rsp, THREAD_KERNEL_RSP(%rdi)
	/* Neither thread's stack need be mapped in the other's address space: change that on a third one. */
	movq	$switch_stack_top, %rsp
	movq	%rsi, %rbx
	call	thread_activate
	movq	THREAD_KERNEL_RSP(%rbx), %rsp
	.irp	register, r15, r14, r13, r12, rbp, rbx
	popq	%\register
	.endr
	ret
	.size	switch_to, . - switch_to

	.bss
	.balign	16
	.skip	2048
switch_stack_top:

	.section .note.GNU-stack, "", @progbits
