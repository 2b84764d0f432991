/* The system calls about signals. Signal sets are 64 bits wide. */
#include "process.h"

static bool valid(int signal) { return signal >= 1 && signal <= SIGNALS; }

long sys_rt_sigaction(int signal, const struct kernel_sigaction *new, struct kernel_sigaction *old)
{
	struct kernel_sigaction action;
	if (!valid(signal) || (new && (UNBLOCKABLE & SIGNAL_BIT(signal))))
		return -EINVAL;
	struct kernel_sigaction *place = &current_process()->actions[signal - 1], before = *place;
	if (new) {
		if (copy_from_user(&action, new, sizeof action))
			return -EFAULT;
		action.mask &= ~UNBLOCKABLE;
		*place = action;
	}
	return old && copy_to_user(old, &before, sizeof before) ? -EFAULT : 0;
}

long sys_rt_sigprocmask(int how, const u64 *new, u64 *old)
{
	struct thread *thread = current_thread();
	u64 before = thread->signal_mask, set;
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

/* Signal 0 only asks whether there is somebody. */
static void send(struct process *process, struct thread *thread, int signal, int code)
{
	struct signal_info info = { .signal = signal, .code = code, .pid = current_process()->pid };
	if (signal != 0)
		signal_post(process, thread, &info);
}

/* kill: a process, a group (0: the caller's), or -1: everything but process 1 and the caller. */
long sys_kill(int pid, int signal)
{
	struct process *process;
	int group = pid == 0 ? current_process()->group : -pid;
	long result = -ESRCH;
	if (signal != 0 && !valid(signal))
		return -EINVAL;
	list_for_each(process, &all_processes, link)
		if (pid > 0 ? process->pid == pid
			    : pid == -1 ? process->pid != 1 && process != current_process() : process->group == group) {
			send(process, NULL, signal, SI_USER);
			result = 0;
		}
	return result;
}

long sys_tgkill(int pid, int tid, int signal)
{
	struct thread *thread = thread_find(tid);
	if (signal != 0 && !valid(signal))
		return -EINVAL;
	if (!thread || thread->process->pid != pid)
		return -ESRCH;
	send(thread->process, thread, signal, SI_TKILL);
	return 0;
}

long sys_tkill(int tid, int signal)
{
	struct thread *thread = thread_find(tid);
	return thread ? sys_tgkill(thread->process->pid, tid, signal) : -ESRCH;
}

long sys_pause(void)
{
	wait_event(NULL, false);
	return -ERESTARTNOHAND;
}

/* The old mask comes back when the handler returns, or before the call is restarted: exit_work(). */
long sys_rt_sigsuspend(const u64 *mask)
{
	struct thread *thread = current_thread();
	u64 set;
	if (copy_from_user(&set, mask, sizeof set))
		return -EFAULT;
	thread->saved_mask = thread->signal_mask;
	thread->signal_mask = set & ~UNBLOCKABLE;
	thread->restore_mask = true;
	return sys_pause();
}
