/*
 * The kernel's lock (include/smp.h): whoever wants it draws a number and waits until it is served. Called with
 * interrupts off, by entry code as by C; changes RCX and R11 alone.
 */
#include "entry.h"

	.section .entry_text, "ax"

PHASE entry_lock
	movl	$1, %ecx
	lock xaddl %ecx, kernel_lock_next
1:	cmpl	%ecx, kernel_lock_serving
	jne	2f
	movq	$1, %gs:PERCPU_LOCKED
	ret
2:	pause
	cmpq	$0, %gs:PERCPU_FLUSH
	je	1b
	.irp	register, rcx, rax, rdi, rsi, rdx, r8, r9, r10
	pushq	%\register
	.endr
	call	flush_serve
	.irp	register, r10, r9, r8, rdx, rsi, rdi, rax, rcx
	popq	%\register
	.endr
	jmp	1b
LAST_PHASE_END

	.data
	.globl	kernel_lock_serving
/* The boot processor begins with the lock. Each word on a line of its own: waiting does not slow drawing down. */
	.balign	64
kernel_lock_next:
	.long	1
	.balign	64
kernel_lock_serving:
	.long	0
	.balign	64

	.section .note.GNU-stack, "", @progbits
