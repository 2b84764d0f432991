/*
 * What the entry paths have in common. Every path is split by symbols: entry_ (until the registers are saved),
 * dispatch_ (finding and calling the function that does the work), exit_ (back to the application). The time
 * spent under other symbols is the work itself. Assembly only.
 */
#ifndef ENTRY_H
#define ENTRY_H

#include "config.h"
#include "registers.h"

/*
 * A phase: a symbol of its own, with type and size, so that addresses can be told apart by it. It ends where the
 * next begins, the last of a file at LAST_PHASE_END.
 */
.macro PHASE name
	.globl	\name
	.type	\name, @function
9:
\name:
	.size	\name, 9f - \name
.endm
.macro LAST_PHASE_END
9:
.endm

/* Completes struct registers below error and vector. */
.macro PUSH_REGISTERS
	.irp	register, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
	pushq	%\register
	.endr
.endm

/* Leaves RSP at the vector. */
.macro POP_REGISTERS
	.irp	register, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
	popq	%\register
	.endr
.endm

/* A system call's frame below RFLAGS; RCX is where it returns. */
.macro PUSH_FRAME_REST cs
	pushq	$\cs
	pushq	%rcx
	pushq	%rax
	pushq	$SYSTEM_CALL_VECTOR
	PUSH_REGISTERS
.endm

/* The frame after SYSCALL: R11 holds RFLAGS, the per-CPU block the application's RSP. */
.macro PUSH_SYSCALL_FRAME ss, cs
	pushq	$\ss
	pushq	%gs:PERCPU_SCRATCH
	pushq	%r11
	PUSH_FRAME_REST \cs
.endm

/* The frame after a call instead of SYSCALL: R11 is the application's RSP. RCX and R11 as SYSCALL leaves them. */
.macro PUSH_CALL_FRAME
	pushq	$KERNEL_SS
	pushq	%r11
	pushfq
	movq	(%rsp), %r11
	PUSH_FRAME_REST KERNEL_CS
.endm

/*
 * Calls the system call of number RAX, with the frame at RSP: it is the thread's, and it is counted. Arguments are
 * where SYSCALL has them: RDI, RSI, RDX, R10, R8, R9; C wants the fourth in RCX. RAX still is the number in the
 * called function: sys_unknown reads it.
 */
.macro DISPATCH_SYSTEM_CALL
	movq	%gs:PERCPU_CURRENT, %rcx
	movq	%rsp, THREAD_FRAME(%rcx)
	incq	%gs:PERCPU_SYSTEM_CALLS
	xorl	%ebp, %ebp		/* backtraces end here */
	movq	%r10, %rcx
	cmpq	$SYSTEM_CALLS_MAX, %rax
	jae	71f
	call	*system_call_table(, %rax, 8)
	jmp	72f
71:	call	sys_unknown
72:
.endm

/*
 * The kernel's lock (include/smp.h), taken and given back with interrupts off. Only RCX, R11 and flags change.
 */
.macro TAKE_KERNEL_LOCK
#if CONFIG_SMP
	call	entry_lock
#endif
.endm
.macro GIVE_KERNEL_LOCK
#if CONFIG_SMP
	movq	$0, %gs:PERCPU_LOCKED
	incl	kernel_lock_serving
#endif
.endm
.macro INTERRUPTS_OFF_FOR_LOCK
#if CONFIG_SMP
	pushfq
	cli
#endif
.endm
.macro INTERRUPTS_AFTER_LOCK
#if CONFIG_SMP
	popfq
#endif
.endm

/*
 * The first of the way back: stores the result, and with interrupts off does what is to be done before the
 * application runs again. Then exit_frame if the frame is no longer what this call's short way back restores
 * (a signal handler, execve): SYSCALL's RCX and R11 no longer hold RIP and RFLAGS.
 */
.macro EXIT_SYSTEM_CALL
	movq	%rax, FRAME_AX(%rsp)
	cli
	testq	$-1, %gs:PERCPU_WORK
	jnz	exit_slow
	GIVE_KERNEL_LOCK
	movq	FRAME_CX(%rsp), %rcx
	cmpq	%rcx, FRAME_RIP(%rsp)
	jne	exit_frame
	movq	FRAME_R11(%rsp), %r11
	cmpq	%r11, FRAME_FLAGS(%rsp)
	jne	exit_frame
.endm

/* Restores all but RIP. Interrupts are on after POPFQ: they still find this thread's kernel stack. */
.macro POP_FRAME_AT_RING0
	POP_REGISTERS
	addq	$(FRAME_FLAGS - FRAME_VECTOR), %rsp
	popfq
	movq	(%rsp), %rsp
.endm

#endif
