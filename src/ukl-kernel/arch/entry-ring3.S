/*
 * System calls of ring 3: SYSCALL enters at entry_syscall with RIP in RCX and RFLAGS in R11, interrupts masked
 * (IA32_FMASK), still on the application's stack and with the application's GS.
 */
#include "entry.h"

	.section .entry_text, "ax"

PHASE entry_syscall
	swapgs
	movq	%rsp, %gs:PERCPU_SCRATCH
#if KPTI
	movq	%gs:PERCPU_KERNEL_CR3, %rsp	/* the only register that is free now */
	movq	%rsp, %cr3
#endif
	movq	%gs:PERCPU_KERNEL_STACK, %rsp
	PUSH_SYSCALL_FRAME USER_SS, USER_CS
	TAKE_KERNEL_LOCK
	sti

PHASE dispatch_syscall
	DISPATCH_SYSTEM_CALL

PHASE exit_syscall
	EXIT_SYSTEM_CALL
	/* With a non-canonical RCX, SYSRET faults at CPL 0 with the application's RSP: leave that to IRETQ. */
	shrq	$47, %rcx
	jnz	exit_frame
	POP_REGISTERS
	movq	(FRAME_RSP - FRAME_VECTOR)(%rsp), %rsp
#if KPTI
	movq	%rsp, %gs:PERCPU_SCRATCH
	movq	%gs:PERCPU_USER_CR3, %rsp
	movq	%rsp, %cr3
	movq	%gs:PERCPU_SCRATCH, %rsp
#endif
	swapgs
	sysretq
LAST_PHASE_END

	.section .note.GNU-stack, "", @progbits
