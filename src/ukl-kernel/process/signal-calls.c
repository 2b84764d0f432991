/* The system calls about signals. Signal sets are 64 bits wide; their size comes along as an argument. */
#include "process.h"

#define UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
enum { SET_SIZE = 8 };

static bool valid(int signal) { return signal >= 1 && signal <= SIGNALS; }

long sys_rt_sigaction(int signal, const struct kernel_sigaction *new, struct kernel_sigaction *old, u64 size)
{
	struct process *process = current_process();
	struct kernel_sigaction action, before;
	struct thread *thread;

	if (size != SET_SIZE || !valid(signal) || (new && (UNBLOCKABLE & SIGNAL_BIT(signal))))
		return -EINVAL;
	before = process->actions->action[signal - 1];
	if (new) {
		if (copy_from_user(&action, new, sizeof action))
			return -EFAULT;
		action.mask &= ~UNBLOCKABLE;
		process->actions->action[signal - 1] = action;
		if (action.handler == SIG_IGN) {
			signal_queue_clear(&process->pending, SIGNAL_BIT(signal));
			list_for_each(thread, &process->threads, in_process)
				signal_queue_clear(&thread->pending, SIGNAL_BIT(signal));
		}
	}
	return old && copy_to_user(old, &before, sizeof before) ? -EFAULT : 0;
}

long sys_rt_sigprocmask(int how, const u64 *new, u64 *old, u64 size)
{
	struct thread *thread = current_thread();
	u64 before = thread->signal_mask, set;

	if (size != SET_SIZE)
		return -EINVAL;
	if (new) {
		if (copy_from_user(&set, new, sizeof set))
			return -EFAULT;
		if (how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK)
			return -EINVAL;
		set &= ~UNBLOCKABLE;
		thread->signal_mask = how == SIG_BLOCK ? before | set : how == SIG_UNBLOCK ? before & ~set : set;
		if (signal_pending(thread))
			set_exit_work();
	}
	return old && copy_to_user(old, &before, sizeof before) ? -EFAULT : 0;
}

long sys_rt_sigpending(u64 *to, u64 size)
{
	struct thread *thread = current_thread();
	u64 set = (thread->pending.bits | thread->process->pending.bits) & thread->signal_mask;

	return size > SET_SIZE ? -EINVAL : copy_to_user(to, &set, size);
}

static struct signal_info sent_by_us(int signal, int code)
{
	return (struct signal_info){ .signal = signal, .code = code, .pid = current_process()->pid };
}

/* kill: a process, a group (0: the caller's), or -1: everything but process 1 and the caller. Signal 0 only asks. */
long sys_kill(int pid, int signal)
{
	struct signal_info info = sent_by_us(signal, SI_USER);
	struct process *process, *after;
	int group = pid == 0 ? current_process()->group : -pid;
	long result = -ESRCH;

	if (signal != 0 && !valid(signal))
		return -EINVAL;
	list_for_each_safe(process, after, &all_processes, link) {
		bool wanted = pid > 0 ? process->pid == pid
			    : pid == -1 ? process->pid != 1 && process != current_process() : process->group == group;

		if (!wanted)
			continue;
		result = 0;
		if (signal != 0)
			signal_post(process, &info);
	}
	return result;
}

static long thread_kill(int pid, int tid, int signal)
{
	struct signal_info info = sent_by_us(signal, SI_TKILL);
	struct thread *thread = thread_find(tid);

	if (signal != 0 && !valid(signal))
		return -EINVAL;
	if (!thread || (pid != 0 && thread->process->pid != pid))
		return -ESRCH;
	if (signal != 0)
		signal_post_thread(thread, &info);
	return 0;
}

long sys_tkill(int tid, int signal) { return tid <= 0 ? -EINVAL : thread_kill(0, tid, signal); }
long sys_tgkill(int pid, int tid, int signal)
{
	return pid <= 0 || tid <= 0 ? -EINVAL : thread_kill(pid, tid, signal);
}

/* siginfo_t in 32-bit words: signal, error, code, padding, pid, uid, value (two words). */
long sys_rt_sigqueueinfo(int pid, int signal, const s32 *from)
{
	struct process *process = process_find(pid);
	struct signal_info info;
	s32 words[8];

	if (copy_from_user(words, from, sizeof words))
		return -EFAULT;
	if (signal != 0 && !valid(signal))
		return -EINVAL;
	if (!process)
		return -ESRCH;
	if (words[2] >= 0 && process != current_process())
		return -EPERM;		/* only the kernel sends such codes */
	info = (struct signal_info){ .signal = signal, .code = words[2], .pid = words[4], .uid = words[5],
		.address = (u32)words[6] | (u64)(u32)words[7] << 32 };
	if (signal != 0)
		signal_post(process, &info);
	return 0;
}

long sys_pause(void)
{
	wait_event(NULL, false);
	return -ERESTARTNOHAND;
}

/* The old mask comes back when the handler returns, or before the call is restarted: exit_work(). */
long sys_rt_sigsuspend(const u64 *mask, u64 size)
{
	struct thread *thread = current_thread();
	u64 set;

	if (size != SET_SIZE)
		return -EINVAL;
	if (copy_from_user(&set, mask, sizeof set))
		return -EFAULT;
	thread->saved_mask = thread->signal_mask;
	thread->signal_mask = set & ~UNBLOCKABLE;
	thread->restore_mask = true;
	wait_event(NULL, false);
	return -ERESTARTNOHAND;
}

long sys_rt_sigtimedwait(const u64 *set, void *info_to, const struct timespec *timeout, u64 size)
{
	struct thread *thread = current_thread();
	struct signal_info info;
	struct timespec time;
	u64 wanted, deadline = 0;
	bool found = false;
	long result;

	if (size != SET_SIZE)
		return -EINVAL;
	if (copy_from_user(&wanted, set, sizeof wanted) || (timeout && copy_from_user(&time, timeout, sizeof time)))
		return -EFAULT;
	if (timeout && ((u64)time.nanoseconds >= NS_PER_SECOND || time.seconds < 0))
		return -EINVAL;
	if (timeout)
		deadline = MAX(time_now() + timespec_ns(&time), 1UL);
	wanted &= ~UNBLOCKABLE;
	thread->signals_awaited = wanted;
	result = wait_event_until(NULL, (found = found || signal_queue_take(&thread->pending, wanted, &info) ||
					 signal_queue_take(&thread->process->pending, wanted, &info)), deadline);
	thread->signals_awaited = 0;
	if (!found)
		return result == -ETIMEDOUT ? -EAGAIN : -EINTR;
	if (info_to && signal_info_to_user(info_to, &info))
		return -EFAULT;
	return info.signal;
}
