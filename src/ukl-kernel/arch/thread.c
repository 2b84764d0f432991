/* What the processor holds for the running thread, and the first kernel stack of a new one. */
#include "arch.h"
#include "process.h"

#define SAME(type, field, offset) _Static_assert(offsetof(struct type, field) == (offset), "registers.h")
SAME(registers, r11, FRAME_R11);
SAME(registers, rax, FRAME_AX);
SAME(registers, vector, FRAME_VECTOR);
SAME(registers, ss, FRAME_SIZE - 8);
SAME(percpu, current, PERCPU_CURRENT);
SAME(percpu, kernel_cr3, PERCPU_KERNEL_CR3);
SAME(percpu, system_calls, PERCPU_SYSTEM_CALLS);
#if CONFIG_SMP
SAME(percpu, locked, PERCPU_LOCKED);
SAME(percpu, flush, PERCPU_FLUSH);
SAME(percpu, entry_stack, PERCPU_ENTRY_STACK);
SAME(percpu, index, 96);
_Static_assert(sizeof(struct percpu) == 1 << PERCPU_SIZE_SHIFT, "registers.h");
#endif
SAME(thread, kernel_rsp, THREAD_KERNEL_RSP);
SAME(thread, frame, THREAD_FRAME);

extern char entry_syscall[], entry_kml[], exit_slow[];

/* What switch_to pops: six registers and a return address. */
struct switch_frame { u64 r15, r14, r13, r12, rbp, rbx, rip; };

void registers_init(struct registers *frame, bool ring0, u64 rip, u64 rsp)
{
	*frame = (struct registers){ .vector = SYSTEM_CALL_VECTOR, .rip = canonical_rip(rip), .rsp = rsp,
				     .rflags = RFLAGS_FIXED | RFLAGS_IF, .cs = ring0 ? KERNEL_CS : USER_CS,
				     .ss = ring0 ? KERNEL_SS : USER_SS };
}

void thread_prepare(struct thread *thread, const struct registers *frame)
{
	struct registers *first = (struct registers *)thread->kernel_stack_top - 1;
	*first = *frame;
	thread->frame = first;
	struct switch_frame *stack = (struct switch_frame *)first - 1;
	*stack = (struct switch_frame){ .rip = (u64)exit_slow };
	thread->kernel_rsp = (u64)stack;
}

/*
 * Ring-3 code has its own GS base while it runs; the kernel's waits in IA32_KERNEL_GS_BASE for SWAPGS. Ring-0
 * code runs with the kernel's: both hold it, so that entry code finds it whether it swaps or not.
 */
static void personality_switch(bool ring0)
{
	static bool loaded[PROCESSORS_MAX];
	if (!RING0_APPLICATION || ring0 == loaded[processor_index()])
		return;
	loaded[processor_index()] = ring0;
	wrmsr(IA32_KERNEL_GS_BASE, ring0 ? (u64)current_percpu() : 0);
	wrmsr(IA32_LSTAR, ring0 ? (u64)entry_kml : (u64)entry_syscall);
}

void thread_activate(struct thread *from, struct thread *to)
{
	struct percpu *percpu = current_percpu();
	percpu->current = to;
	percpu->kernel_stack_top = to->kernel_stack_top;
	tss_set_stack(to->kernel_stack_top);
	percpu->work |= WORK_SIGNALS;
	fpu_save(from->fpu);
	if (to == percpu->idle) {
		/* It uses no FPU, no FS and no address space. The next thread may be the last, unless that runs elsewhere. */
		if (CONFIG_SMP)
			space_switch(NULL);
		return;
	}
	fpu_load(to->fpu);
	wrmsr(IA32_FS_BASE, to->fs_base);
	personality_switch(to->process->ring0);
	space_switch(to->process->space);
}

/* From entry code, with interrupts off: work before the application goes on. Returns the frame to leave by. */
struct registers *exit_call_work(struct registers *frame)
{
	struct percpu *percpu = current_percpu();
	/*
	 * The frame may lie on the application's stack (FAULT_STACK_IST=0, STACK_SWITCH=0), where a signal's frame
	 * would be written over it. Entry code has left room at the top of the kernel stack.
	 */
	struct registers *copy = (struct registers *)percpu->kernel_stack_top - 1;
	if (percpu->kernel_stack_top - (u64)frame >= KERNEL_STACK_SIZE) {
		*copy = *frame;
		current_thread()->frame = frame = copy;
	}
	do {
		percpu->work &= ~(u64)WORK_SIGNALS;
		exit_work(frame);
		irq_disable();
		if (CONFIG_SMP)
			percpu = current_percpu();	/* the thread may have waited */
	} while (percpu->work & WORK_RESCHEDULE);
	return frame;
}

struct registers *exit_trap_work(struct registers *frame)
{
	return current_percpu()->work && from_application(frame) ? exit_call_work(frame) : frame;
}
