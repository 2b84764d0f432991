/*
 * What the entry paths have in common. Every path is split by symbols: entry_ (until the registers are saved),
 * dispatch_ (finding and calling the function that does the work), exit_ (back to the application). The time
 * spent under other symbols is the work itself. Assembly only.
 */
#ifndef ENTRY_H
#define ENTRY_H

#include "config.h"
#include "registers.h"
#include "syscall-numbers.h"

/* A phase: a symbol of its own, with type and size, so that addresses can be told apart by it. */
.macro PHASE name
	.globl	\name
	.type	\name, @function
\name:
.endm
.macro PHASE_END name
	.size	\name, . - \name
.endm

/* Completes struct registers below error and vector. */
.macro PUSH_REGISTERS
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
.endm

/* Leaves RSP at the vector. */
.macro POP_REGISTERS
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
.endm

/*
 * Calls the system call of number RAX. Arguments are where SYSCALL has them: RDI, RSI, RDX, R10, R8, R9; C wants
 * the fourth in RCX. RAX still is the number in the called function: sys_unknown reads it.
 */
.macro CALL_SYSTEM_CALL
	movq	%r10, %rcx
	cmpq	$SYSTEM_CALLS_MAX, %rax
	jae	71f
	call	*system_call_table(, %rax, 8)
	jmp	72f
71:	call	sys_unknown
72:
.endm

/* As CALL_SYSTEM_CALL, for paths with a full frame at RSP: the thread's frame is this one, and it is counted. */
.macro DISPATCH_SYSTEM_CALL
	movq	%gs:PERCPU_CURRENT, %rcx
	movq	%rsp, THREAD_FRAME(%rcx)
	incq	%gs:PERCPU_SYSTEM_CALLS
	xorl	%ebp, %ebp		/* backtraces end here */
	CALL_SYSTEM_CALL
.endm

/*
 * The first of the way back: stores the result, and with interrupts off does what is to be done before the
 * application runs again. Then `changed` if the frame is no longer what this call's short way back restores
 * (a signal handler, execve): SYSCALL's RCX and R11 no longer hold RIP and RFLAGS.
 */
.macro EXIT_SYSTEM_CALL changed
	movq	%rax, FRAME_AX(%rsp)
	cli
	testq	$-1, %gs:PERCPU_WORK
	jnz	exit_slow
	movq	FRAME_CX(%rsp), %rcx
	cmpq	%rcx, FRAME_RIP(%rsp)
	jne	\changed
	movq	FRAME_R11(%rsp), %r11
	cmpq	%r11, FRAME_FLAGS(%rsp)
	jne	\changed
.endm

#endif
