/*
 * Who has the processor: round robin with time slices of one timer tick (10 ms), wait queues, timeouts.
 *
 * Kernel code is not preempted. A thread loses the processor in schedule(), which it calls when it waits, and in
 * exit_work() on its way back to the application, when the timer or a wake-up asked for it (need_resched). The
 * queues are touched with interrupts off, and under the kernel's lock: all processors share the one run queue.
 */
#include "process.h"

static struct list run_queue = LIST_INIT(run_queue);
static struct list sleepers = LIST_INIT(sleepers);	/* threads with a wake_time, in any order */
static struct list dead = LIST_INIT(dead);		/* ended, but their kernel stacks were still in use */

static struct process idle_process;
static struct thread idle_thread;		/* the boot processor's */

static inline struct thread *next_thread(void);
static inline bool has_next_thread(void);

/* The boot code becomes the idle thread, on its own stack. */
void scheduler_init(void)
{
	struct percpu *percpu = current_percpu();
	process_init(&idle_process);
	strlcpy(idle_process.name, "idle", sizeof idle_process.name);
	thread_init(&idle_thread, &idle_process);
	idle_thread.kernel_stack_top = percpu->kernel_stack_top;
	percpu->current = percpu->idle = &idle_thread;
}

/* Frees what ended threads could not free themselves. The caller is not among them. */
static void free_the_dead(void)
{
	while (!list_empty(&dead)) {
		struct thread *thread = list_entry(dead.next, struct thread, run);
		list_remove(&thread->run);
		thread_free(thread);
	}
}

void schedule(void)
{
	u64 flags = irq_save();
	struct thread *from = current_thread(), *to = this_idle_thread(&idle_thread);
	free_the_dead();
	clear_need_resched();
	if (from->state == THREAD_DEAD)
		list_add_tail(&dead, &from->run);
	else if (from->state == THREAD_READY && from != to)
		list_add_tail(&run_queue, &from->run);
	if (has_next_thread()) {
		to = next_thread();
		list_remove(&to->run);
	}
	if (to != from)
		switch_to(from, to);
	irq_restore(flags);
}

void thread_ready(struct thread *thread)
{
	u64 flags = irq_save();
	if (thread->state == THREAD_WAITING) {
		thread->state = THREAD_READY;
		list_remove(&thread->wait);
		list_remove(&thread->sleep);
		list_add_tail(&run_queue, &thread->run);
		processor_wake(thread, &idle_thread);
	}
	irq_restore(flags);
}

/* From the timer interrupt: 100 times a second. */
void scheduler_tick(void)
{
	u64 now = time_now();
	struct thread *thread, *after;
	struct process *process;
	list_for_each_safe(thread, after, &sleepers, sleep)
		if (thread->wake_time <= now) {
			thread->timed_out = true;
			thread_ready(thread);
		}
	list_for_each(process, &all_processes, link)
		if (process->alarm_deadline != 0 && process->alarm_deadline <= now) {
			u64 late = now - process->alarm_deadline, interval = process->alarm_interval;
			process->alarm_deadline = interval == 0 ? 0 : now + interval - late % interval;
			signal_send(process, NULL, SIGALRM);
		}
	if (!list_empty(&run_queue))
		set_need_resched();
}

/* Sleeps once, with interrupts off, until thread_ready() or the deadline. */
static void sleep_on(struct wait_queue *queue, u64 deadline)
{
	struct thread *thread = current_thread();
	ASSERT(thread != &idle_thread);
	thread->state = THREAD_WAITING;
	thread->timed_out = false;
	thread->wake_time = deadline;
	if (queue)
		list_add_tail(&queue->waiters, &thread->wait);
	if (deadline != 0)
		list_add_tail(&sleepers, &thread->sleep);
	schedule();
}

long wait_sleep(struct wait_queue *queue, u64 deadline)
{
	struct thread *thread = current_thread();
	if (signal_pending(thread)) {
		set_exit_work();
		return -EINTR;
	}
	if (deadline != 0 && time_now() >= deadline)
		return -ETIMEDOUT;
	sleep_on(queue, deadline);
	return thread->timed_out ? -ETIMEDOUT : 0;
}

void wait_uninterrupted(struct wait_queue *queue) { sleep_on(queue, 0); }

void wake_all(struct wait_queue *queue)
{
	u64 flags = irq_save();
	while (!list_empty(&queue->waiters))
		thread_ready(list_entry(queue->waiters.next, struct thread, wait));
	irq_restore(flags);
}

/* The first in the run queue that may run on this processor. */
static inline struct thread *next_thread(void)
{
	struct thread *thread = list_entry(run_queue.next, struct thread, run);
	while (CONFIG_SMP && !may_run_here(thread))
		thread = list_entry(thread->run.next, struct thread, run);
	return thread;
}

static inline bool has_next_thread(void)
{
	struct thread *thread;
	if (!CONFIG_SMP)
		return !list_empty(&run_queue);
	list_for_each(thread, &run_queue, run)
		if (may_run_here(thread))
			return true;
	return false;
}

/* The boot code ends here. HLT right after STI: no interrupt can slip in between (SDM vol. 2, STI). */
void idle_loop(void)
{
	for (;;) {
		irq_disable();
		if (!has_next_thread() && list_empty(&dead)) {
			kernel_unlock();
			__asm__ volatile("sti; hlt" : : : "memory");
			if (CONFIG_SMP)
				irq_disable();
			kernel_lock();
		}
		schedule();
		irq_enable();
	}
}
