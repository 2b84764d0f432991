/*
 * Exceptions and interrupts, of ring 3 and ring 0 alike.
 *
 * Where the processor pushes its frame: from ring 3, on TSS.RSP0 (the thread's kernel stack; with KPTI a small
 * stack that the application's page table maps). At ring 0, with FAULT_STACK_IST, on the IST fault stack, so that
 * neither the application's red zone nor the state of its stack matters; without it, on the interrupted stack,
 * and if that is not mapped, #DF comes on a stack of its own.
 *
 * Handlers always run on the thread's kernel stack, where they may wait. Frames on an IST or entry stack move
 * there at once, with interrupts off, so that such a stack is never entered twice; frames on the application's
 * stack stay.
 */
#include "entry.h"

#define MOVE_FRAMES	(KPTI || (RING0_APPLICATION && FAULT_STACK_IST))
#define MOVE_DOUBLE_FAULT (LINKED_APPLICATION && !FAULT_STACK_IST)
#if FAULT_STACK_IST
#define RED_ZONE	128
#else
#define RED_ZONE	0	/* the processor itself has overwritten it */
#endif

	.section .entry_text, "ax"

/* One entry of 16 bytes for each vector; those without an error code push 0 (SDM vol. 3A table 6-1). */
	.balign	16
PHASE entry_stubs
	.globl	trap_stubs
trap_stubs:
	.set	vector, 0
	.rept	VECTORS_USED
	.balign	16
	.if	vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21
	pushq	$0
	.endif
	pushq	$vector
	.if	vector == 2 || vector == 18
	jmp	entry_fatal
	.elseif	vector == 8 && MOVE_DOUBLE_FAULT
	jmp	entry_trap_move
	.else
	jmp	entry_trap
	.endif
	.set	vector, vector + 1
	.endr

PHASE entry_spurious
	iretq				/* no end of interrupt: SDM vol. 3A 11.9 */

/* Moves the frame at RSP to the thread's kernel stack: to its top, or below what was interrupted on it. */
.macro MOVE_FRAME
	movq	%gs:PERCPU_KERNEL_STACK, %rdi
	movq	FRAME_RSP(%rsp), %rax
	movq	%rdi, %rcx
	subq	%rax, %rcx
	cmpq	$KERNEL_STACK_SIZE, %rcx
	jae	61f
	leaq	-(RED_ZONE + 32)(%rax), %rdi	/* with room for what exit_frame's RET needs */
	andq	$-16, %rdi
61:	subq	$FRAME_SIZE, %rdi
	movq	%rdi, %rbx
	movq	%rsp, %rsi
	movl	$(FRAME_SIZE / 8), %ecx
	rep movsq
	movq	%rbx, %rsp
.endm

/* Leaves RSP on the thread's kernel stack, with room for a frame at its top, and the frame's address in RBX. */
.macro KEEP_FRAME
	movq	%rsp, %rbx
#if LINKED_APPLICATION
	movq	%gs:PERCPU_KERNEL_STACK, %rdi
	movq	%rdi, %rcx
	subq	%rsp, %rcx
	cmpq	$KERNEL_STACK_SIZE, %rcx
	jb	62f
	leaq	-FRAME_SIZE(%rdi), %rsp
62:
#endif
.endm

PHASE entry_trap
	PUSH_REGISTERS
	cld
	testb	$3, FRAME_CS(%rsp)
	jz	1f
	swapgs
#if KPTI
	movq	%gs:PERCPU_KERNEL_CR3, %rax
	movq	%rax, %cr3
#endif
	xorl	%ebp, %ebp		/* backtraces end here */
1:
#if RING0_APPLICATION
	/* A fault in here would come again for ever: a ring-0 application has changed GS. */
	movq	FRAME_RIP(%rsp), %rax
	subq	$trap_stubs, %rax
	cmpq	$(entry_trap_end - trap_stubs), %rax
	jb	entry_without_gs
#endif
#if MOVE_FRAMES
	MOVE_FRAME
#else
	KEEP_FRAME
#endif
entry_trap_end:

PHASE dispatch_trap_call
	movq	%rbx, %rdi
#if CONFIG_SMP
	call	dispatch_trap_locked

PHASE exit_trap
#else
	call	dispatch_trap

PHASE exit_trap
	cli
	movq	%rbx, %rdi
	call	exit_trap_work
#endif
	movq	%rax, %rsp

/* Back to whatever the frame at RSP says. Also the end of system calls whose frame was changed. */
PHASE exit_frame
	testb	$3, FRAME_CS(%rsp)
	jnz	exit_to_ring3
#if RETURN_RET
	/*
	 * To ring 0 without IRETQ: RFLAGS and RIP go below the red zone of the interrupted stack. This may fault;
	 * that fault returns here. What follows the frame's error code may be overwritten by it.
	 */
	movq	FRAME_RSP(%rsp), %rdx
	movq	FRAME_RIP(%rsp), %rax
	movq	FRAME_FLAGS(%rsp), %rcx
	movq	%rax, -(RED_ZONE + 8)(%rdx)
	movq	%rcx, -(RED_ZONE + 16)(%rdx)
	leaq	-(RED_ZONE + 16)(%rdx), %rdx
	movq	%rdx, FRAME_ERROR(%rsp)
	POP_REGISTERS
	movq	(FRAME_ERROR - FRAME_VECTOR)(%rsp), %rsp
	popfq
#if RED_ZONE
	ret	$RED_ZONE
#else
	ret
#endif
#else
	POP_REGISTERS
	addq	$(FRAME_RIP - FRAME_VECTOR), %rsp
	iretq
#endif

PHASE exit_to_ring3
	POP_REGISTERS
	addq	$(FRAME_RIP - FRAME_VECTOR), %rsp
#if KPTI
	/* The application's table has no kernel stack: IRETQ's five words, and RDI, go through the entry stack. */
	pushq	%rdi
	movq	%rsp, %rdi
#if CONFIG_SMP
	movq	%gs:PERCPU_ENTRY_STACK, %rsp
#else
	movq	$(entry_stack + ENTRY_STACK_SIZE), %rsp
#endif
	pushq	40(%rdi)
	pushq	32(%rdi)
	pushq	24(%rdi)
	pushq	16(%rdi)
	pushq	8(%rdi)
	pushq	(%rdi)
	movq	%gs:PERCPU_USER_CR3, %rdi
	movq	%rdi, %cr3
	popq	%rdi
#endif
	swapgs
	iretq

/*
 * A system call's way back with signals or rescheduling to do. A new thread begins here in the kernel: switch_to
 * returns here, with its frame at RSP.
 */
PHASE exit_slow
	KEEP_FRAME
	movq	%rbx, %rdi
	call	exit_call_work
	movq	%rax, %rsp
	GIVE_KERNEL_LOCK
	jmp	exit_frame

/*
 * NMI and #MC come at any instruction, also where entry code has not swapped GS yet, and in entry_without_gs a
 * ring-0 application has changed it. None of them is to be survived: takes GS back for the panic.
 */
PHASE entry_fatal
	PUSH_REGISTERS
	cld
entry_without_gs:
	movl	$IA32_GS_BASE, %ecx
#if CONFIG_SMP
	xorl	%eax, %eax
	str	%ax			/* each processor has a task-state segment of its own: 16 bytes of the GDT */
	subl	$TSS_SELECTOR, %eax
	shll	$(PERCPU_SIZE_SHIFT - 4), %eax
	addq	$percpus, %rax
#else
	movq	$percpu0, %rax
#endif
	movq	%rax, %rdx
	shrq	$32, %rdx
	wrmsr
#if KPTI
	movq	%gs:PERCPU_KERNEL_CR3, %rax
	movq	%rax, %cr3
#endif
	movq	%rsp, %rdi
	andq	$-16, %rsp
	call	panic_in_entry

#if MOVE_DOUBLE_FAULT
/* #DF, on its IST stack. */
PHASE entry_trap_move
	PUSH_REGISTERS
	cld
	MOVE_FRAME
	jmp	dispatch_trap_call
#endif
LAST_PHASE_END

	.section .note.GNU-stack, "", @progbits
