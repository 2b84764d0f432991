/*
 * System calls of unmodified programs at CPL 0 (Kernel Mode Linux). SYSCALL does the same there as in ring 3;
 * what is missing is the ring: no SWAPGS, since both GS bases are the kernel's while such a process runs, and no
 * SYSRET, which would load CPL 3: RFLAGS are restored by POPFQ, RIP by a jump.
 */
#include "entry.h"

#if RING0_APPLICATION
	.section .entry_text, "ax"

PHASE entry_kml
	movq	%rsp, %gs:PERCPU_SCRATCH
	movq	%gs:PERCPU_KERNEL_STACK, %rsp
	PUSH_SYSCALL_FRAME KERNEL_SS, KERNEL_CS
	TAKE_KERNEL_LOCK
	sti

PHASE dispatch_kml
	DISPATCH_SYSTEM_CALL

PHASE exit_kml
	EXIT_SYSTEM_CALL
	POP_FRAME_AT_RING0
	jmp	*%rcx
LAST_PHASE_END
#endif

	.section .note.GNU-stack, "", @progbits
