/* The system calls about processors: on which a thread may run, and on which it runs. */
#include "process.h"

static u64 all_processors(void) { return (1UL << processors_online) - 1; }

static struct thread *thread_of(int tid) { return tid == 0 ? current_thread() : thread_find(tid); }

long sys_sched_setaffinity(int tid, size_t size, const u8 *user)
{
	struct thread *thread = thread_of(tid);
	u64 wanted = 0;
	if (!thread)
		return -ESRCH;
	if (copy_from_user(&wanted, user, MIN(size, sizeof wanted)))
		return -EFAULT;
	wanted &= all_processors();
	if (wanted == 0)
		return -EINVAL;
	u64 irq = irq_save();
	thread->affinity = wanted;
	thread_move(thread);
	irq_restore(irq);
	if (!may_run_here(current_thread()))
		schedule();		/* goes on elsewhere */
	return 0;
}

/* The result is the size of the kernel's set, which the C library fills up with zeroes. */
long sys_sched_getaffinity(int tid, size_t size, u8 *user)
{
	struct thread *thread = thread_of(tid);
	if (!thread)
		return -ESRCH;
	if (size < sizeof(u64) || size % sizeof(u64))
		return -EINVAL;
	u64 set = thread->affinity & all_processors();
	return copy_to_user(user, &set, sizeof set) ? -EFAULT : (long)sizeof set;
}

long sys_getcpu(u32 *processor, u32 *node)
{
	u32 index = processor_index(), zero = 0;
	if ((processor && copy_to_user(processor, &index, sizeof index)) || (node && copy_to_user(node, &zero, sizeof zero)))
		return -EFAULT;
	return 0;
}
