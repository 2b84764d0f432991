/*
 * Futexes: sleeping until a word in the application's memory changes. A word is known by its address in its address
 * space: they work between threads, not between processes.
 *
 * Kernel code is not preempted, and with several processors has the kernel's lock: comparing the word and going to sleep
 * are one step.
 */
#include "process.h"

enum {
	FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3, FUTEX_WAIT_BITSET = 9, FUTEX_PRIVATE_FLAG = 128,
	FUTEX_CLOCK_REALTIME = 256, FUTEX_BITSET_MATCH_ANY = -1,
};

static struct wait_queue waiters = WAIT_QUEUE_INIT(waiters);

long futex_wake(u64 address, u32 count)
{
	u64 irq = irq_save();
	struct thread *thread, *after;
	u32 woken = 0;
	list_for_each_safe(thread, after, &waiters.waiters, wait) {
		if (woken == count)
			break;
		if (thread->futex_address != address || thread->process->space != current_process()->space)
			continue;
		thread->futex_address = 0;
		thread_ready(thread);
		woken++;
	}
	irq_restore(irq);
	return woken;
}

static long futex_wait(u64 address, u32 expected, u64 deadline, bool relative)
{
	struct thread *thread = current_thread();
	u32 value;
	if (copy_from_user(&value, (void *)address, sizeof value))
		return -EFAULT;
	if (value != expected)
		return -EAGAIN;
	thread->futex_address = address;
	u64 irq = irq_save();
	long result = wait_sleep(&waiters, deadline);
	irq_restore(irq);
	if (thread->futex_address == 0)
		return 0;
	if (result == -ETIMEDOUT)
		return result;
	/* Disturbed by a signal, which another thread may have taken by now. The word must be looked at again. */
	set_exit_work();
	return relative ? -EINTR : -ERESTARTSYS;
}

/* `timeout`: FUTEX_WAIT has a duration, FUTEX_WAIT_BITSET a point in time; FUTEX_REQUEUE has a number there. */
long sys_futex(u64 address, u32 flags, u32 value, u64 timeout, u64 target, int bits)
{
	int operation = flags & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	bool absolute = operation == FUTEX_WAIT_BITSET;
	u64 ns, deadline = 0;
	(void)target;
	if (address & 3)
		return -EINVAL;
	if (operation == FUTEX_WAKE)
		return futex_wake(address, value);
	if (operation == FUTEX_REQUEUE)		/* whoever should move is woken, and will go to the target itself */
		return futex_wake(address, value + (u32)timeout);
	if (operation != FUTEX_WAIT && (!absolute || bits != FUTEX_BITSET_MATCH_ANY))
		return -ENOSYS;
	if (timeout != 0) {
		long error = timespec_read((void *)timeout, &ns);
		if (error)
			return error;
		deadline = deadline_of(ns, absolute, flags & FUTEX_CLOCK_REALTIME);
	}
	return futex_wait(address, value, deadline, !absolute && deadline != 0);
}

long sys_set_tid_address(u64 address)
{
	current_thread()->clear_child_tid = address;
	return current_thread()->tid;
}
