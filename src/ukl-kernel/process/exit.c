/* The end of threads and processes, and waiting for it. */
#include "file.h"
#include "process.h"

/* wait4's status word: the exit code in bits 15-8, or the signal in bits 6-0; 7Fh and the signal if stopped. */
static int status_stopped(int signal) { return signal << 8 | 0x7f; }
enum { STATUS_CONTINUED = 0xffff };

static void notify_parent(struct process *process, int code, int status)
{
	struct signal_info info = { .signal = process->exit_signal, .code = code, .pid = process->pid, .status = status };

	if (process->exit_signal != 0)
		signal_post(process->parent, &info);
	wake_all(&process->parent->child_exit);
}

static void notify_end(struct process *process)
{
	int status = process->exit_status;

	if (status & 0x7f)
		notify_parent(process, CLD_KILLED, status & 0x7f);
	else
		notify_parent(process, CLD_EXITED, status >> 8);
}

void process_stopped_changed(struct process *process, int signal)
{
	const struct kernel_sigaction *action;

	process->stop_unreported = process->stopped;
	process->continue_unreported = !process->stopped;
	process->stop_signal = signal;
	if (!process->parent)
		return;
	action = &process->parent->actions->action[SIGCHLD - 1];
	if (!(action->flags & SA_NOCLDSTOP))
		notify_parent(process, process->stopped ? CLD_STOPPED : CLD_CONTINUED, signal);
	else
		wake_all(&process->parent->child_exit);
}

/* A parent that ignores SIGCHLD does not want zombies (POSIX, _Exit: consequences of process termination). */
static bool parent_wants_status(struct process *process)
{
	const struct kernel_sigaction *action = &process->parent->actions->action[SIGCHLD - 1];

	return process->exit_signal != SIGCHLD || !(action->handler == SIG_IGN || (action->flags & SA_NOCLDWAIT));
}

static void reparent_children(struct process *process, struct process *to)
{
	struct process *child, *after;

	list_for_each_safe(child, after, &process->children, sibling) {
		list_remove(&child->sibling);
		list_add_tail(&to->children, &child->sibling);
		child->parent = to;
		child->parent_pid = to->pid;
		child->exit_signal = SIGCHLD;
		if (child->state == PROCESS_ZOMBIE)
			notify_end(child);
	}
}

/* The last thread of a process is gone but for its kernel stack. */
static void process_end(struct thread *last)
{
	struct process *process = last->process;
	int status = process->exit_status;

	if (process->pid == 1 && (status & 0x7f))
		printk("ukl-kernel: process 1 (%s) was ended by signal %d\n", process->name, status & 0x7f);
	if (process->pid == 1)
		power_off(status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff);
	vfork_release(process);
	process->alarm_deadline = 0;
	process_release(process);
	/* The processor still runs on it, and perhaps on a stack in it. */
	last->last_space = process->space;
	process->space = NULL;
	reparent_children(process, process_find(1));
	process->state = PROCESS_ZOMBIE;
	if (parent_wants_status(process)) {
		notify_end(process);
	} else {
		last->last_process = process;
		wake_all(&process->parent->child_exit);
	}
}

/* Ends the current thread; with the last one, the process ends, with `status` if none was set before. */
void thread_exit(int status)
{
	struct thread *thread = current_thread();
	struct process *process = thread->process;

	robust_list_release(thread);
	if (thread->unmap_size != 0)
		space_unmap(process->space, thread->unmap_start, thread->unmap_size);
	if (thread->clear_child_tid != 0) {
		u32 zero = 0;

		copy_to_user((void *)thread->clear_child_tid, &zero, sizeof zero);
		futex_wake(thread->clear_child_tid, 1, ~0U);
	}
	irq_disable();
	list_remove(&thread->in_process);
	if (list_empty(&process->threads)) {
		if (!process->exiting)
			process->exit_status = status;
		process->exiting = true;
		process_end(thread);
	} else {
		wake_all(&process->changed);
	}
	thread->state = THREAD_DEAD;
	schedule();
	__builtin_unreachable();
}

void threads_end_others(struct process *process)
{
	struct thread *thread;

	list_for_each(thread, &process->threads, in_process)
		if (thread != current_thread()) {
			thread->exiting = true;
			thread_ready(thread);
		}
}

void process_exit(int status)
{
	struct process *process = current_process();

	if (!process->exiting) {
		process->exiting = true;
		process->exit_status = status;
		threads_end_others(process);
	}
	thread_exit(status);
}

long sys_exit(int status) { thread_exit((status & 0xff) << 8); }
long sys_exit_group(int status) { process_exit((status & 0xff) << 8); }

/* What one call of wait4 or waitid looks for, and what it found. */
struct wait_request {
	int kind, id;			/* P_ALL, P_PID, P_PGID */
	int options;
	int pid, code, status;		/* found; status: as wait4 reports it */
	u64 run_time;
};

static bool wanted(const struct wait_request *request, const struct process *child)
{
	switch (request->kind) {
	case P_PID:
		return child->pid == request->id;
	case P_PGID:
		return child->group == request->id;
	default:
		return true;
	}
}

/* Takes the child's news if the request asks for them. */
static bool take_news(struct wait_request *request, struct process *child)
{
	bool keep = request->options & WNOWAIT;

	request->pid = child->pid;
	request->run_time = child->run_time + child->children_run_time;
	if (child->state == PROCESS_ZOMBIE && (request->options & WEXITED)) {
		request->status = child->exit_status;
		request->code = child->exit_status & 0x7f ? CLD_KILLED : CLD_EXITED;
		if (!keep) {
			current_process()->children_run_time += request->run_time;
			process_free(child);
		}
		return true;
	}
	if (child->stop_unreported && (request->options & WSTOPPED)) {
		request->status = status_stopped(child->stop_signal);
		request->code = CLD_STOPPED;
		child->stop_unreported = keep;
		return true;
	}
	if (child->continue_unreported && (request->options & WCONTINUED)) {
		request->status = STATUS_CONTINUED;
		request->code = CLD_CONTINUED;
		child->continue_unreported = keep;
		return true;
	}
	return false;
}

/* 1: news were taken. 0: there are children to wait for. -ECHILD: none. */
static long look(struct wait_request *request)
{
	struct process *child;
	long result = -ECHILD;

	list_for_each(child, &current_process()->children, sibling) {
		if (!wanted(request, child) || (child->state == PROCESS_ZOMBIE && !parent_wants_status(child)))
			continue;
		if (take_news(request, child))
			return 1;
		result = 0;
	}
	return result;
}

/* 1: found. 0: WNOHANG and nothing. Otherwise negative errno. */
static long wait_for_child(struct wait_request *request)
{
	long found = look(request);
	long interrupted;

	if (found != 0 || (request->options & WNOHANG))
		return found;
	interrupted = wait_event(&current_process()->child_exit, (found = look(request)) != 0);
	return interrupted && found == 0 ? -ERESTARTSYS : found;
}

struct rusage { struct timeval user, system; s64 other[14]; };

static long put_rusage(struct rusage *to, u64 run_time)
{
	struct rusage usage = { .user = { run_time / NS_PER_SECOND, run_time % NS_PER_SECOND / 1000 } };

	return to ? copy_to_user(to, &usage, sizeof usage) : 0;
}

long sys_wait4(int pid, int *status, int options, struct rusage *usage)
{
	struct wait_request request = {
		.kind = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID,
		.id = pid > 0 ? pid : pid == 0 ? current_process()->group : -pid,
		.options = options | WEXITED,
	};
	long result = wait_for_child(&request);

	if (result <= 0)
		return result;
	if (status && copy_to_user(status, &request.status, sizeof *status))
		return -EFAULT;
	return put_rusage(usage, request.run_time) ? -EFAULT : request.pid;
}

long sys_waitid(int kind, int id, void *info, int options, struct rusage *usage)
{
	struct wait_request request = { .kind = kind, .id = id, .options = options };
	s32 result_info[32] = {};
	long result;

	if (kind < P_ALL || kind > P_PGID || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	if (kind == P_PGID && id == 0)
		request.id = current_process()->group;
	result = wait_for_child(&request);
	if (result < 0)
		return result;
	if (result == 1) {
		/* siginfo_t: signo, errno, code, padding, pid, uid, status. */
		result_info[0] = SIGCHLD;
		result_info[2] = request.code;
		result_info[4] = request.pid;
		result_info[6] = request.code == CLD_EXITED ? request.status >> 8 & 0xff :
				 request.code == CLD_KILLED ? request.status & 0x7f :
				 request.code == CLD_STOPPED ? request.status >> 8 : SIGCONT;
	}
	if (info && copy_to_user(info, result_info, sizeof result_info))
		return -EFAULT;
	return result == 1 && put_rusage(usage, request.run_time) ? -EFAULT : 0;
}

/* The processor time is not told apart by privilege level: all of it counts as the application's. */
long sys_getrusage(int who, struct rusage *usage)
{
	struct process *process = current_process();
	u64 since = time_now() - current_thread()->run_started;

	switch (who) {
	case 0:		/* RUSAGE_SELF */
		return put_rusage(usage, process->run_time + since);
	case -1:	/* RUSAGE_CHILDREN */
		return put_rusage(usage, process->children_run_time);
	case 1:		/* RUSAGE_THREAD */
		return put_rusage(usage, current_thread()->run_time + since);
	default:
		return -EINVAL;
	}
}
