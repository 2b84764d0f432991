/*
 * Several processors (CONFIG_SMP): the kernel's lock, and what processors tell each other. With one processor every
 * function here is nothing, and the files of smp/ are not compiled. Included by process.h.
 *
 * The lock is the whole kernel's. A processor takes it when it comes in from the application or by an interrupt,
 * and gives it back when it leaves and while it is idle. It is the processor's, not the thread's: switch_to() hands
 * it to the next thread, so that a thread that waits holds nothing. What the rest of the kernel believes of one
 * processor stays true: nobody else touches its data as long as it does not wait.
 *
 * It is taken in line, with interrupts off. Who waits answers requests to forget translations: whoever makes one
 * holds the lock and waits for the answers.
 */
#ifndef SMP_H
#define SMP_H

struct boot_params;

#define FLUSH_ALL (~0UL)	/* instead of a page's address */

#if CONFIG_SMP
#define percpu0 percpus[0]
extern struct percpu percpus[PROCESSORS_MAX];	/* in the order of the MADT, the boot processor first */
extern u32 processors_online;			/* the first ones of the table */

static inline u32 processor_index(void)
{
	u32 index;
	__asm__ volatile("movl %%gs:96, %0" : "=r"(index));
	return index;
}

/* smp/lock.S: IF=0. */
static inline void kernel_lock(void) { __asm__ volatile("call entry_lock" : : : "rcx", "r11", "memory", "cc"); }
static inline void kernel_unlock(void)
{
	__asm__ volatile("movq $0, %%gs:72; incl kernel_lock_serving" : : : "memory", "cc");
}
static inline bool kernel_locked(void)		/* by this processor */
{
	u64 value;
	__asm__ volatile("movq %%gs:72, %0" : "=r"(value) : : "memory");
	return value != 0;
}

/* smp/start.c: starts the processors that the MADT names, up to PROCESSORS_MAX in all. */
void processors_start(const struct boot_params *boot);
struct percpu *processor_starting(void);	/* whose tables processor_init() is to set up */
u32 processors_find(const struct boot_params *boot, u8 *apic_ids, u32 max);	/* smp/acpi.c: how many; 0: no MADT */

/* smp/messages.c */
struct registers *dispatch_trap_locked(struct registers *frame);	/* from entry-traps.S */
void flush_serve(void);				/* from entry_lock: answers a request to forget translations */
/* Other processors that run in `space` forget a page, or with FLUSH_ALL all of it; waits until they have. */
void flush_elsewhere(struct space *space, vaddr_t address);
/* Before pages of [start, start + size) are freed: from here on no other processor reaches them. */
void space_quiesce(struct space *space, vaddr_t start, u64 size);
/* Has an idle processor, if there is one, look into the run queue, where the thread is or soon will be. */
void processor_wake(struct thread *ready, struct thread *boot_idle);
void thread_kick(struct thread *thread);	/* if it runs elsewhere, it comes by exit_work() soon */
void thread_move(struct thread *thread);	/* its affinity has changed */
void processors_stop(void);			/* for a panic: all others, for good */
bool processors_stopped(void);
static inline bool may_run_here(const struct thread *thread)
{
	return thread->affinity >> processor_index() & 1;
}
static inline struct thread *this_idle_thread(struct thread *boot) { return (void)boot, current_percpu()->idle; }

#else
static inline u32 processor_index(void) { return 0; }
static inline void kernel_lock(void) { }
static inline void kernel_unlock(void) { }
static inline void processors_start(const struct boot_params *boot) { (void)boot; }
static inline struct percpu *processor_starting(void) { return &percpu0; }
static inline void flush_elsewhere(struct space *space, vaddr_t address) { (void)space, (void)address; }
static inline void space_quiesce(struct space *space, vaddr_t start, u64 size) { (void)space, (void)start, (void)size; }
static inline void thread_kick(struct thread *thread) { (void)thread; }
static inline void processors_stop(void) { }
static inline bool processors_stopped(void) { return false; }
static inline bool may_run_here(const struct thread *thread) { return (void)thread, true; }
static inline struct thread *this_idle_thread(struct thread *boot) { return boot; }
static inline void processor_wake(struct thread *ready, struct thread *boot_idle)
{
	(void)ready;
	if (current_thread() == boot_idle)
		set_need_resched();
}
#endif

/* Kernel code that the application calls without entry code: shortcuts, and the first program's beginning. */
static inline void kernel_enter(void)
{
	u64 flags = CONFIG_SMP ? irq_save() : 0;
	kernel_lock();
	if (CONFIG_SMP)
		irq_restore(flags);
}
static inline void kernel_leave(void)
{
	u64 flags = CONFIG_SMP ? irq_save() : 0;
	kernel_unlock();
	if (CONFIG_SMP)
		irq_restore(flags);
}

#endif
