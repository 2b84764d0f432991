/*
 * Signals: sending them, and what happens to them on the way back to the application. The handler's stack frame is
 * signal-frame.c, the system calls are signal-calls.c.
 *
 * Process 1 is not protected from signals: its end is the machine's.
 */
#include "process.h"

#define STOP_SIGNALS (SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
#define DEFAULT_IGNORED (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))
enum { FIRST_REAL_TIME = 32, ENTRIES_MAX = 128 };

/* One signal in a queue. Only real-time signals can be there more than once. */
struct signal_entry { struct list link; struct signal_info info; };

void signal_queue_init(struct signal_queue *queue)
{
	queue->bits = 0;
	list_init(&queue->entries);
}

void signal_queue_clear(struct signal_queue *queue, u64 signals)
{
	struct signal_entry *entry, *after;

	queue->bits &= ~signals;
	list_for_each_safe(entry, after, &queue->entries, link)
		if (signals & SIGNAL_BIT(entry->info.signal)) {
			list_remove(&entry->link);
			kfree(entry);
		}
}

static void queue_add(struct signal_queue *queue, const struct signal_info *info)
{
	struct signal_entry *entry;
	u32 entries = 0;

	if (info->signal < FIRST_REAL_TIME && (queue->bits & SIGNAL_BIT(info->signal)))
		return;
	queue->bits |= SIGNAL_BIT(info->signal);
	list_for_each(entry, &queue->entries, link)
		entries++;
	entry = entries < ENTRIES_MAX ? kmalloc(sizeof *entry) : NULL;
	if (!entry)
		return;		/* delivered without what is known of it */
	entry->info = *info;
	list_add_tail(&queue->entries, &entry->link);
}

/* Takes the lowest-numbered of the wanted signals. */
bool signal_queue_take(struct signal_queue *queue, u64 wanted, struct signal_info *info)
{
	struct signal_entry *entry, *after;
	bool found = false;

	wanted &= queue->bits;
	if (wanted == 0)
		return false;
	*info = (struct signal_info){ .signal = __builtin_ctzl(wanted) + 1 };
	queue->bits &= ~SIGNAL_BIT(info->signal);
	list_for_each_safe(entry, after, &queue->entries, link) {
		if (entry->info.signal != info->signal)
			continue;
		if (found) {
			queue->bits |= SIGNAL_BIT(info->signal);
			break;
		}
		*info = entry->info;
		list_remove(&entry->link);
		kfree(entry);
		found = true;
	}
	return true;
}

static u64 signals_for(const struct thread *thread)
{
	return (thread->pending.bits | thread->process->pending.bits) & ~thread->signal_mask;
}

bool signal_pending(struct thread *thread) { return thread->exiting || signals_for(thread) != 0; }

static bool is_ignored(const struct process *process, const struct thread *thread, int signal)
{
	u64 handler = process->actions->action[signal - 1].handler;

	if (thread->signal_mask & SIGNAL_BIT(signal))
		return false;
	return handler == SIG_IGN || (handler == SIG_DFL && (DEFAULT_IGNORED & SIGNAL_BIT(signal)));
}

static void process_continue(struct process *process, int signal)
{
	if (!process->stopped)
		return;
	process->stopped = false;
	wake_all(&process->changed);
	if (signal == SIGCONT)
		process_stopped_changed(process, signal);
}

/* A stop signal and SIGCONT cancel each other; SIGKILL ends a stopped process too. */
static void stop_or_continue(struct process *process, int signal)
{
	u64 cancelled = signal == SIGCONT ? STOP_SIGNALS : STOP_SIGNALS & SIGNAL_BIT(signal) ? SIGNAL_BIT(SIGCONT) : 0;
	struct thread *thread;

	if (signal == SIGCONT || signal == SIGKILL)
		process_continue(process, signal);
	if (cancelled == 0)
		return;
	signal_queue_clear(&process->pending, cancelled);
	list_for_each(thread, &process->threads, in_process)
		signal_queue_clear(&thread->pending, cancelled);
}

/* Lets a thread notice a signal: ends its wait, or has it look on its way back to the application. */
static void notify(struct thread *thread, int signal)
{
	if ((thread->signal_mask & SIGNAL_BIT(signal)) && !(thread->signals_awaited & SIGNAL_BIT(signal)))
		return;
	thread_ready(thread);
	if (thread == current_thread())
		set_exit_work();
}

void signal_post(struct process *process, const struct signal_info *info)
{
	u64 irq = irq_save();
	struct thread *thread, *chosen = NULL;

	if (process->state == PROCESS_ALIVE && !list_empty(&process->threads)) {
		stop_or_continue(process, info->signal);
		list_for_each(thread, &process->threads, in_process)
			if (!chosen && (!(thread->signal_mask & SIGNAL_BIT(info->signal)) ||
					(thread->signals_awaited & SIGNAL_BIT(info->signal))))
				chosen = thread;
		if (!chosen)
			chosen = list_entry(process->threads.next, struct thread, in_process);
		if (!is_ignored(process, chosen, info->signal)) {
			queue_add(&process->pending, info);
			notify(chosen, info->signal);
		}
	}
	irq_restore(irq);
}

void signal_post_thread(struct thread *thread, const struct signal_info *info)
{
	u64 irq = irq_save();

	stop_or_continue(thread->process, info->signal);
	if (!is_ignored(thread->process, thread, info->signal)) {
		queue_add(&thread->pending, info);
		notify(thread, info->signal);
	}
	irq_restore(irq);
}

void signal_send(struct process *process, int signal)
{
	signal_post(process, &(struct signal_info){ .signal = signal, .code = SI_KERNEL });
}

void signal_send_thread(struct thread *thread, int signal)
{
	signal_post_thread(thread, &(struct signal_info){ .signal = signal, .code = SI_KERNEL });
}

void signal_send_group(int group, int signal)
{
	struct process *process;

	list_for_each(process, &all_processes, link)
		if (process->group == group)
			signal_send(process, signal);
}

static const char *access_name(u64 error) { return error & 16 ? "execution" : error & 2 ? "write" : "read"; }

/* A ring-0 application has the machine's privileges: what it does wrong is worth a line, and process 1's, the end. */
static void report_fatal_fault(const struct registers *frame, u64 address)
{
	const struct process *process = current_process();
	const char *what = exception_name(frame->vector);
	char text[128];

	if (!process->ring0)
		return;
	if (frame->vector == 14 || frame->vector == 8)
		snprintf(text, sizeof text, "%s: %s of address %p at %pS", what, access_name(frame->error),
			 (void *)address, (void *)frame->rip);
	else
		snprintf(text, sizeof text, "%s at %pS", what, (void *)frame->rip);
	if (process->pid == 1)
		panic(frame, "%s", text);
	printk("ukl-kernel: %s (%d) at ring 0: %s\n", process->name, process->pid, text);
}

void signal_fault(struct registers *frame, int signal, int code, u64 address)
{
	struct thread *thread = current_thread();
	u64 handler = thread->process->actions->action[signal - 1].handler;
	struct signal_info info = { .signal = signal, .code = code, .address = address, .trap = frame->vector,
		.error = frame->error };

	if (handler == SIG_DFL || handler == SIG_IGN || (thread->signal_mask & SIGNAL_BIT(signal))) {
		report_fatal_fault(frame, address);
		process_exit(signal);
	}
	signal_post_thread(thread, &info);
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
	bool restart = !action;

	if (frame->vector != SYSTEM_CALL_VECTOR)
		return;
	frame->vector = 0;
	switch ((long)frame->rax) {
	case -ERESTARTSYS:
		restart = restart || (action->flags & SA_RESTART);
		break;
	case -ERESTARTNOHAND:
		break;
	default:
		return;
	}
	if (restart)
		restart_call(frame);
	else
		frame->rax = -EINTR;
}

static void default_action(struct process *process, int signal)
{
	if (DEFAULT_IGNORED & SIGNAL_BIT(signal))
		return;
	if (!(STOP_SIGNALS & SIGNAL_BIT(signal)))
		process_exit(signal);
	process->stopped = true;
	process_stopped_changed(process, signal);
}

static void deliver(struct registers *frame, const struct signal_info *info)
{
	struct thread *thread = current_thread();
	struct kernel_sigaction *place = &thread->process->actions->action[info->signal - 1];
	struct kernel_sigaction action = *place;
	u64 mask = thread->restore_mask ? thread->saved_mask : thread->signal_mask;

	if (action.handler == SIG_IGN)
		return;
	if (action.handler == SIG_DFL) {
		default_action(thread->process, info->signal);
		return;
	}
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
		if (process->stopped) {
			wait_sleep_killable(&process->changed);
		} else if (need_resched()) {
			schedule();
		} else if (signal_queue_take(&thread->pending, ~thread->signal_mask, &info) ||
			   signal_queue_take(&process->pending, ~thread->signal_mask, &info)) {
			irq_enable();
			deliver(frame, &info);
		} else if (thread->restore_mask) {
			thread->restore_mask = false;
			thread->signal_mask = thread->saved_mask;
		} else {
			break;
		}
	}
	finish_call(frame, NULL);
}
