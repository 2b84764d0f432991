/*
 * System calls of programs whose SYSCALL instructions were rewritten to `call *%rax`, two bytes each (zpoline,
 * Yasukata et al., USENIX ATC 2023). RAX is the call's number, so the call lands on page 0: the trampoline page
 * has NOPs there, which slide to a jump to entry_zpoline. The return address lies where the red zone began.
 */
#include "entry.h"

#if LINK_MODE == LINK_ZPOLINE
#define CALL_RAX	0xd0ff		/* FF D0 */

	.section .entry_text, "ax"

PHASE entry_zpoline
	movq	(%rsp), %rcx
	cmpw	$CALL_RAX, -2(%rcx)	/* a call of a null pointer comes here too: */
	jne	entry_null_call
	leaq	8(%rsp), %r11
	movq	%gs:PERCPU_KERNEL_STACK, %rsp
	PUSH_CALL_FRAME
	INTERRUPTS_OFF_FOR_LOCK
	TAKE_KERNEL_LOCK
	INTERRUPTS_AFTER_LOCK

PHASE dispatch_zpoline
	DISPATCH_SYSTEM_CALL

PHASE exit_zpoline
	EXIT_SYSTEM_CALL
	subq	$8, FRAME_RSP(%rsp)	/* to the return address */
	POP_FRAME_AT_RING0
	ret

/* The page fault that a null call would have met, had page 0 not been there: at RIP 0, a fetch. */
PHASE entry_null_call
	xorl	%ecx, %ecx
	movq	%rcx, %cr2
	movq	%rsp, %rcx
	pushq	$KERNEL_SS
	pushq	%rcx
	pushfq
	pushq	$KERNEL_CS
	pushq	$0
	pushq	$0x10			/* instruction fetch, not present */
	pushq	$14
	cli
	jmp	entry_trap
LAST_PHASE_END

/* What page_tables_create maps at 0: from here any number up to SYSTEM_CALLS_MAX - 1 slides to the jump. */
	.section .rodata
	.balign	4096
	.globl	zpoline_page
zpoline_page:
	.fill	SYSTEM_CALLS_MAX, 1, 0x90
	movabsq	$entry_zpoline, %r11	/* SYSCALL changes R11 as well */
	jmp	*%r11
	.balign	4096, 0xcc
#endif

	.section .note.GNU-stack, "", @progbits
