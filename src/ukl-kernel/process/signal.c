/*
 * Signals: sending them, what happens to them on the way back to the application, and the system calls. The handler's
 * stack frame is signal-frame.c. Signals do not stop processes: those that would are ignored.
 *
 * Process 1 is not protected from signals: its end is the machine's.
 */
#include "process.h"

#define DEFAULT_IGNORED (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH) | \
			 SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))

/* Takes the lowest-numbered of the wanted signals. */
static bool take(struct signal_set *set, u64 wanted, struct signal_info *info)
{
	wanted &= set->bits;
	if (wanted == 0)
		return false;
	*info = (struct signal_info){ .signal = __builtin_ctzl(wanted) + 1 };
	if (set->last.signal == info->signal)
		*info = set->last;
	set->bits &= ~SIGNAL_BIT(info->signal);
	return true;
}

bool signal_pending(struct thread *thread)
{
	return thread->exiting || ((thread->pending.bits | thread->process->pending.bits) & ~thread->signal_mask) != 0;
}

static bool is_blocked(const struct thread *thread, int signal) { return thread->signal_mask & SIGNAL_BIT(signal); }

static bool is_ignored(const struct process *process, int signal)
{
	u64 handler = process->actions[signal - 1].handler;
	return handler == SIG_IGN || (handler == SIG_DFL && (DEFAULT_IGNORED & SIGNAL_BIT(signal)));
}

/* A thread that does not block the signal, or any. NULL: all have ended. */
static struct thread *receiver(struct process *process, int signal)
{
	struct thread *thread;
	list_for_each(thread, &process->threads, in_process)
		if (!is_blocked(thread, signal))
			return thread;
	return list_empty(&process->threads) ? NULL : list_entry(process->threads.next, struct thread, in_process);
}

void signal_post(struct process *process, struct thread *thread, const struct signal_info *info)
{
	u64 irq = irq_save();
	struct signal_set *set = thread ? &thread->pending : &process->pending;
	if (!thread)
		thread = receiver(process, info->signal);
	bool blocked = thread && is_blocked(thread, info->signal);
	if (thread && (blocked || !is_ignored(process, info->signal))) {
		set->bits |= SIGNAL_BIT(info->signal);
		set->last = *info;
		/* It ends the thread's wait, or is seen on its way back to the application. */
		if (!blocked)
			thread_ready(thread);
		if (!blocked && thread == current_thread())
			set_exit_work();
		if (!blocked)
			thread_kick(thread);
	}
	irq_restore(irq);
}

void signal_send(struct process *process, struct thread *thread, int signal)
{
	struct signal_info info = { .signal = signal, .code = SI_KERNEL };
	signal_post(process, thread, &info);
}

void signal_send_group(int group, int signal)
{
	struct process *process;
	list_for_each(process, &all_processes, link)
		if (process->group == group)
			signal_send(process, NULL, signal);
}

/* A ring-0 application has the machine's privileges: what it does wrong is worth a line, and process 1's, the end. */
static void report_fatal_fault(const struct registers *frame, u64 address)
{
	const struct process *process = current_process();
	char text[128];
	if (!process->ring0)
		return;
	exception_describe(frame, address, text, sizeof text);
	if (process->pid == 1)
		panic(frame, "%s", text);
	printk("ukl-kernel: %s (%d) at ring 0: %s\n", process->name, process->pid, text);
}

void signal_fault(struct registers *frame, int signal, int code, u64 address)
{
	struct thread *thread = current_thread();
	struct signal_info info = { .signal = signal, .code = code, .address = address };
	u64 handler = thread->process->actions[signal - 1].handler;
	if (handler == SIG_DFL || handler == SIG_IGN || is_blocked(thread, signal)) {
		report_fatal_fault(frame, address);
		process_exit(signal);
	}
	signal_post(thread->process, thread, &info);
}

/*
 * Begins the call again, with its original number. SYSCALL and zpoline's CALL are two bytes long; the linked
 * application's call left its return address right below RSP, in the red zone, which is kept.
 */
static void restart_call(struct registers *frame)
{
	frame->rax = frame->error;
#if LINKED_APPLICATION
	extern char entry_ukl[];
	if (current_process()->ring0) {
		frame->rip = (u64)entry_ukl;
		frame->rsp -= 8;
		return;
	}
#endif
	frame->rip -= 2;
}

/* What becomes of an interrupted call, once. `action`: of the handler that runs first; NULL: none does. */
static void finish_call(struct registers *frame, const struct kernel_sigaction *action)
{
	long result = (long)frame->rax;
	if (frame->vector != SYSTEM_CALL_VECTOR)
		return;
	frame->vector = 0;
	if (result != -ERESTARTSYS && result != -ERESTARTNOHAND)
		return;
	if (!action || (result == -ERESTARTSYS && (action->flags & SA_RESTART)))
		restart_call(frame);
	else
		frame->rax = -EINTR;
}

static void deliver(struct registers *frame, const struct signal_info *info)
{
	struct thread *thread = current_thread();
	struct kernel_sigaction *place = &thread->process->actions[info->signal - 1];
	struct kernel_sigaction action = *place;
	u64 mask = thread->restore_mask ? thread->saved_mask : thread->signal_mask;
	if (is_ignored(thread->process, info->signal))
		return;
	if (action.handler == SIG_DFL)
		process_exit(info->signal);
	finish_call(frame, &action);
	if (action.flags & SA_RESETHAND)
		place->handler = SIG_DFL;
	if (signal_frame_push(frame, info, &action, mask) != 0)
		process_exit(SIGSEGV);		/* no stack for the handler */
	thread->restore_mask = false;
	thread->signal_mask |= action.mask | (action.flags & SA_NODEFER ? 0 : SIGNAL_BIT(info->signal));
}

void exit_work(struct registers *frame)
{
	struct thread *thread = current_thread();
	struct process *process = thread->process;
	struct signal_info info;
	for (;;) {
		irq_disable();
		if (thread->exiting)
			thread_exit(process->exit_status);
		if (take(&thread->pending, ~thread->signal_mask, &info) ||
		    take(&process->pending, ~thread->signal_mask, &info)) {
			irq_enable();
			deliver(frame, &info);
		} else if (thread->restore_mask) {
			thread->restore_mask = false;
			thread->signal_mask = thread->saved_mask;
		} else if (need_resched()) {
			schedule();
		} else {
			break;
		}
	}
	finish_call(frame, NULL);
}

/* The system calls. Signal sets are 64 bits wide. */
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
