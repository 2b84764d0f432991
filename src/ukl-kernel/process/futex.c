/*
 * Futexes: sleeping until a word in the application's memory changes.
 *
 * Kernel code is not preempted, so comparing the word and going to sleep are one step; several processors will need
 * a lock over both.
 */
#include "page-table.h"
#include "process.h"

enum {
	FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_WAIT_BITSET = 9,
	FUTEX_WAKE_BITSET, FUTEX_PRIVATE_FLAG = 128, FUTEX_CLOCK_REALTIME = 256,
};
/* The word of a robust mutex (Linux, Documentation/locking/robust-futex-ABI.rst). */
enum { FUTEX_WAITERS = 0x80000000, FUTEX_OWNER_DIED = 0x40000000, FUTEX_TID_MASK = 0x3fffffff };
enum { ROBUST_LIST_LIMIT = 2048, ROBUST_HEAD_SIZE = 24 };

static struct wait_queue waiters = WAIT_QUEUE_INIT(waiters);

/* What two threads must agree on: an address in one address space, or in physical memory for shared mappings. */
struct word { const void *where; u64 address; };

static struct word word_at(u64 address)
{
	static const char physical_memory;
	struct space *space = current_process()->space;
	struct region *region = space_region(space, address);
	u64 *entry = region && (region->flags & REGION_SHARED) ? page_entry(space, address, false) : NULL;

	if (entry && (*entry & PTE_ADDRESS))
		return (struct word){ &physical_memory, (*entry & PTE_ADDRESS) + address % PAGE_SIZE };
	return (struct word){ space, address };
}

/* Wakes up to `count` waiters of the word with a bit in common, and moves up to `move` of the rest to `target`. */
static long wake_and_move(struct word word, u32 count, u32 bits, u32 move, struct word target)
{
	u64 irq = irq_save();
	struct thread *thread, *after;
	u32 woken = 0, moved = 0;

	list_for_each_safe(thread, after, &waiters.waiters, wait) {
		if (thread->futex_where != word.where || thread->futex_address != word.address ||
		    !(thread->futex_bits & bits))
			continue;
		if (woken < count) {
			thread->futex_where = NULL;	/* tells it that it was woken on purpose */
			thread_ready(thread);
			woken++;
		} else if (moved < move) {
			thread->futex_where = target.where;
			thread->futex_address = target.address;
			moved++;
		} else {
			break;
		}
	}
	irq_restore(irq);
	return woken + moved;
}

long futex_wake(u64 address, u32 count, u32 bits)
{
	return wake_and_move(word_at(address), count, bits, 0, (struct word){});
}

static long futex_wait(u64 address, u32 expected, u32 bits, u64 deadline, bool relative)
{
	struct thread *thread = current_thread();
	struct word word;
	u64 irq;
	u32 value;
	long result;

	if (bits == 0)
		return -EINVAL;
	if (copy_from_user(&value, (void *)address, sizeof value))
		return -EFAULT;
	if (value != expected)
		return -EAGAIN;
	word = word_at(address);
	thread->futex_where = word.where;
	thread->futex_address = word.address;
	thread->futex_bits = bits;
	irq = irq_save();
	result = wait_sleep(&waiters, deadline);
	irq_restore(irq);
	if (!thread->futex_where)
		return 0;
	thread->futex_where = NULL;
	if (result == -ETIMEDOUT)
		return result;
	/* Disturbed by a signal, which another thread may have taken by now. The word must be looked at again. */
	set_exit_work();
	return relative ? -EINTR : -ERESTARTSYS;
}

/* Nanoseconds of time_now(); 0 for none. WAIT has a duration, WAIT_BITSET a point in time. */
static long read_deadline(const struct timespec *from, int operation, bool realtime, u64 *deadline)
{
	struct timespec time;
	u64 value;

	*deadline = 0;
	if (!from)
		return 0;
	if (copy_from_user(&time, from, sizeof time))
		return -EFAULT;
	if (time.seconds < 0 || time.nanoseconds < 0 || (u64)time.nanoseconds >= NS_PER_SECOND)
		return -EINVAL;
	value = timespec_ns(&time);
	if (operation == FUTEX_WAIT)
		value += time_now();
	else if (realtime)
		value = deadline_of_realtime(value);
	*deadline = MAX(value, 1UL);
	return 0;
}

long sys_futex(u64 address, u32 flags, u32 value, u64 fourth, u64 target, u32 sixth)
{
	int operation = flags & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	u64 deadline;
	u32 now;
	long result;

	if (address & 3)
		return -EINVAL;
	switch (operation) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		result = read_deadline((void *)fourth, operation, flags & FUTEX_CLOCK_REALTIME, &deadline);
		if (result != 0)
			return result;
		return futex_wait(address, value, operation == FUTEX_WAIT ? ~0U : sixth, deadline,
				  operation == FUTEX_WAIT && deadline != 0);
	case FUTEX_WAKE:
		return futex_wake(address, value, ~0U);
	case FUTEX_WAKE_BITSET:
		return sixth == 0 ? -EINVAL : futex_wake(address, value, sixth);
	case FUTEX_CMP_REQUEUE:
		if (copy_from_user(&now, (void *)address, sizeof now))
			return -EFAULT;
		if (now != sixth)
			return -EAGAIN;
		/* fallthrough */
	case FUTEX_REQUEUE:
		return wake_and_move(word_at(address), value, ~0U, fourth, word_at(target));
	default:
		return -ENOSYS;
	}
}

/* A robust mutex that the dying thread holds gets FUTEX_OWNER_DIED and wakes one waiter. */
static void release_mutex(struct thread *thread, u64 address)
{
	u32 word;

	if ((address & 3) || copy_from_user(&word, (void *)address, sizeof word))
		return;
	if ((word & FUTEX_TID_MASK) != (u32)thread->tid)
		return;
	word = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
	copy_to_user((void *)address, &word, sizeof word);
	futex_wake(address, 1, ~0U);
}

void robust_list_release(struct thread *thread)
{
	struct { u64 first; s64 offset; u64 pending; } head;
	u64 at;

	if (thread->robust_list == 0 || copy_from_user(&head, (void *)thread->robust_list, sizeof head))
		return;
	at = head.first;
	for (int i = 0; i < ROBUST_LIST_LIMIT && (at & ~1UL) != thread->robust_list; i++) {
		u64 next;

		if (copy_from_user(&next, (void *)(at & ~1UL), sizeof next))
			return;
		if (at != head.pending)
			release_mutex(thread, (at & ~1UL) + head.offset);
		at = next;
	}
	if (head.pending != 0)
		release_mutex(thread, (head.pending & ~1UL) + head.offset);
}

long sys_set_robust_list(u64 head, u64 size)
{
	if (size != ROBUST_HEAD_SIZE)
		return -EINVAL;
	current_thread()->robust_list = head;
	return 0;
}

long sys_get_robust_list(int tid, u64 *head, u64 *size)
{
	struct thread *thread = tid == 0 ? current_thread() : thread_find(tid);
	u64 head_size = ROBUST_HEAD_SIZE;

	if (!thread)
		return -ESRCH;
	return copy_to_user(head, &thread->robust_list, sizeof *head) || copy_to_user(size, &head_size, sizeof *size)
		? -EFAULT : 0;
}

long sys_set_tid_address(u64 address)
{
	current_thread()->clear_child_tid = address;
	return current_thread()->tid;
}
