/*
 * What processors tell each other: there is work (VECTOR_WAKE), translations are to be forgotten (VECTOR_FLUSH),
 * stop (NMI). Exceptions and interrupts under the kernel's lock.
 */
#include "process.h"

void dispatch_trap(struct registers *frame);
struct registers *exit_trap_work(struct registers *frame);

/* From entry-traps.S, in place of dispatch_trap() and exit_trap_work(). Returns the frame to leave by. */
struct registers *dispatch_trap_locked(struct registers *frame)
{
	if (frame->vector == VECTOR_FLUSH) {
		/* Without the lock: whoever asks has it. */
		flush_serve();
		apic_end_of_interrupt();
		return frame;
	}
	/* Kernel code that was interrupted has the lock already, and goes on without exit work. */
	bool held = kernel_locked();
	if (!held)
		kernel_lock();
	dispatch_trap(frame);
	irq_disable();
	if (!held) {
		frame = exit_trap_work(frame);
		kernel_unlock();	/* perhaps of another processor than above: the thread may have waited */
	}
	return frame;
}

/* The request under way: there is one at a time, that of the lock's owner. */
static vaddr_t flush_address;

void flush_serve(void)
{
	struct percpu *percpu = current_percpu();
	if (!__atomic_load_n(&percpu->flush, __ATOMIC_ACQUIRE))
		return;			/* answered while waiting for the lock; the interrupt came later */
	tlb_flush_asked(flush_address);
	__atomic_store_n(&percpu->flush, 0, __ATOMIC_RELEASE);
}

/* The processor has the tables of `space` in CR3. An idle one has none: thread_activate(). */
static bool runs_in(const struct percpu *percpu, const struct space *space)
{
	return percpu->current->process->space == space;
}

#define for_each_other(percpu) \
	for (struct percpu *percpu = percpus; percpu < percpus + processors_online; percpu++) \
		if (percpu != current_percpu())

void flush_elsewhere(struct space *space, vaddr_t address)
{
	if (processors_stopped())
		return;
	flush_address = address;
	for_each_other(percpu)
		if (runs_in(percpu, space)) {
			__atomic_store_n(&percpu->flush, 1, __ATOMIC_RELEASE);
			apic_send(percpu->apic_id, VECTOR_FLUSH);
		}
	for_each_other(percpu)
		while (__atomic_load_n(&percpu->flush, __ATOMIC_ACQUIRE))
			__asm__ volatile("pause" : : : "memory");
}

void space_quiesce(struct space *space, vaddr_t start, u64 size)
{
	bool elsewhere = false;
	u64 *entry;
	for_each_other(percpu)
		elsewhere |= runs_in(percpu, space);
	if (!elsewhere)
		return;
	for (vaddr_t at = start; (entry = page_next(space, &at, start + size)); at += PAGE_SIZE)
		*entry &= ~(u64)PTE_PRESENT;
	tlb_flush(space);
}

/* The lock keeps others from `work`. */
static void kick(struct percpu *percpu, u64 work)
{
	percpu->work |= work;
	apic_send(percpu->apic_id, VECTOR_WAKE);
}

void thread_kick(struct thread *thread)
{
	for_each_other(percpu)
		if (percpu->current == thread)
			kick(percpu, WORK_SIGNALS);
}

static bool is_waiting_for(const struct percpu *percpu, const struct thread *thread)
{
	return percpu->current == percpu->idle && !(percpu->work & WORK_RESCHEDULE) &&
	       thread->affinity >> percpu->index & 1;
}

void processor_wake(struct thread *ready, struct thread *boot_idle)
{
	(void)boot_idle;
	if (is_waiting_for(current_percpu(), ready)) {
		set_need_resched();
		return;
	}
	for_each_other(percpu)
		if (is_waiting_for(percpu, ready)) {
			kick(percpu, WORK_RESCHEDULE);
			return;
		}
}

void thread_move(struct thread *thread)
{
	if (thread->state == THREAD_READY)
		processor_wake(thread, NULL);
	for_each_other(percpu)
		if (percpu->current == thread && !(thread->affinity >> percpu->index & 1))
			kick(percpu, WORK_RESCHEDULE);
}

static struct percpu *panicking;

bool processors_stopped(void) { return __atomic_load_n(&panicking, __ATOMIC_ACQUIRE) != NULL; }

/*
 * The first to panic stops the others, by NMI, wherever they are. From here on it acts as if it had the lock, which
 * one of them may have taken with it. Their NMI ends in halt(): panic_in_entry().
 */
void processors_stop(void)
{
	struct percpu *self = current_percpu(), *nobody = NULL;
	if (!__atomic_compare_exchange_n(&panicking, &nobody, self, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		if (nobody != self)
			halt();
		return;
	}
	for_each_other(percpu)
		apic_send(percpu->apic_id, APIC_NMI);
	self->locked = 1;
}
