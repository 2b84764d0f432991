/*
 * System calls of the application that is linked with the kernel. The builder replaces its SYSCALL instructions
 * by calls of ukl_entry, which keeps SYSCALL's convention: RAX is the number and the result, RDI, RSI, RDX, R10,
 * R8, R9 the arguments; of the others only RCX and R11 change. The red zone is kept but for its first 8 bytes,
 * which hold the return address.
 */
#include "entry.h"

#if LINKED_APPLICATION
#define RED_ZONE	128

/* The kernel must not fault on the application's stack: stack_probe() of arch.h. */
.macro STAY_ON_STACK
	andq	$-16, %rsp
	testb	%al, -4096(%rsp)
	testb	%al, -8192(%rsp)
	testb	%al, -12288(%rsp)
.endm

	.section .entry_text, "ax"
	.globl	ukl_entry
#if LINK_MODE == LINK_UKL
	.set	ukl_entry, entry_ukl
#else
	.set	ukl_entry, entry_byp
#endif

/* With entry and exit work: a full frame, so that signals, clone and execve find all registers. */
PHASE entry_ukl
	movq	(%rsp), %rcx
	leaq	8(%rsp), %r11
#if STACK_SWITCH
	movq	%gs:PERCPU_KERNEL_STACK, %rsp
#else
	cmpq	$SYSTEM_CALLS_MAX, %rax
	jae	1f
	btq	%rax, kernel_stack_calls
	jc	2f
1:	leaq	(8 - RED_ZONE)(%rsp), %rsp
	STAY_ON_STACK
	jmp	3f
2:	movq	%gs:PERCPU_KERNEL_STACK, %rsp
3:
#endif
	PUSH_CALL_FRAME
	INTERRUPTS_OFF_FOR_LOCK
	TAKE_KERNEL_LOCK
	INTERRUPTS_AFTER_LOCK

PHASE dispatch_ukl
	DISPATCH_SYSTEM_CALL

PHASE exit_ukl
	EXIT_SYSTEM_CALL
	subq	$8, FRAME_RSP(%rsp)	/* to the return address */
	POP_FRAME_AT_RING0
	ret

#if LINK_MODE != LINK_UKL
/*
 * Past entry and exit work (UKL's BYP): the registers that a C function may change are saved, nothing else.
 * Signals wait for the next interrupt. The calls that need a full frame take the long way, and so does a call
 * that a signal interrupted and that is to be restarted.
 */
PHASE entry_byp
	cmpq	$SYSTEM_CALLS_MAX, %rax
	jae	entry_ukl
	btq	%rax, full_frame_calls
	jc	entry_ukl
	leaq	(8 - RED_ZONE)(%rsp), %rsp
	pushq	%rbp
	movq	%rsp, %rbp
#if STACK_SWITCH
	movq	%gs:PERCPU_KERNEL_STACK, %rsp
#else
	STAY_ON_STACK
#endif
	.irp	register, rax, rdi, rsi, rdx, r8, r9, r10, rax	/* RAX twice keeps the stack aligned */
	pushq	%\register
	.endr
	INTERRUPTS_OFF_FOR_LOCK
	TAKE_KERNEL_LOCK
	INTERRUPTS_AFTER_LOCK

PHASE dispatch_byp
	movq	%r10, %rcx
	call	*system_call_table(, %rax, 8)

PHASE exit_byp
	INTERRUPTS_OFF_FOR_LOCK
	GIVE_KERNEL_LOCK
	INTERRUPTS_AFTER_LOCK
	.irp	register, r10, r10, r9, r8, rdx, rsi, rdi, rcx	/* RCX: the number */
	popq	%\register
	.endr
	leave
	leaq	(RED_ZONE - 8)(%rsp), %rsp
	cmpq	$-ERESTARTSYS, %rax
	je	1f
	cmpq	$-ERESTARTNOHAND, %rax
	je	1f
	ret
1:	movq	%rcx, %rax
	jmp	entry_ukl
#endif
LAST_PHASE_END

	.section .rodata
	.balign	8
/*
 * munmap, rt_sigreturn, pause, clone, fork, vfork, execve, sigaltstack, rt_sigsuspend, ppoll, pselect6. Those too
 * after which a signal to the caller itself must have been delivered (POSIX, kill, pthread_sigmask):
 * rt_sigprocmask, kill, tkill, tgkill. With several processors exit: the stack that all threads end on is the next
 * one's as soon as clear_child_tid says so (link/unmapself.c). Bit n is number n.
 */
full_frame_calls:
	.quad	1 << 11 | 1 << 14 | 1 << 15 | 1 << 34 | 1 << 56 | 1 << 57 | 1 << 58 | 1 << 59 | CONFIG_SMP << 60 | 1 << 62, 0
	.quad	1 << (130 - 128) | 1 << (131 - 128), 1 << (200 - 192) | 1 << (234 - 192)
	.quad	1 << (270 - 256) | 1 << (271 - 256), 0, 0, 0
/*
 * After clone, vfork and execve the application's stack is somebody else's or gone, and exit and munmap give it
 * back: munmap, clone, fork, vfork, execve, exit, exit_group.
 */
kernel_stack_calls:
	.quad	1 << 11 | 1 << 56 | 1 << 57 | 1 << 58 | 1 << 59 | 1 << 60, 0, 0, 1 << (231 - 192)
	.quad	0, 0, 0, 0
#endif

	.section .note.GNU-stack, "", @progbits
