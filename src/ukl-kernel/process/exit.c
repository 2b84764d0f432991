/* The end of threads and processes, and waiting for it. */
#include "file.h"
#include "process.h"

/* wait4's status word: the exit code in bits 15-8, or the signal in bits 6-0. */
static int ending_signal(const struct process *process) { return process->exit_status & 0x7f; }
static int exit_code(const struct process *process) { return process->exit_status >> 8; }

static void notify_parent(struct process *process)
{
	int signal = ending_signal(process);
	struct signal_info info = { .signal = SIGCHLD, .code = signal ? CLD_KILLED : CLD_EXITED, .pid = process->pid,
		.status = signal ? signal : exit_code(process) };
	signal_post(process->parent, NULL, &info);
	wake_all(&process->parent->child_exit);
}

static void reparent_children(struct process *process, struct process *to)
{
	struct process *child, *after;
	list_for_each_safe(child, after, &process->children, sibling) {
		list_remove(&child->sibling);
		list_add_tail(&to->children, &child->sibling);
		child->parent = to;
		child->parent_pid = to->pid;
		if (child->zombie)
			notify_parent(child);
	}
}

/* The last thread of a process is gone but for its kernel stack. */
static void process_end(struct thread *last)
{
	struct process *process = last->process;
	int signal = ending_signal(process);
	if (process->pid == 1 && signal)
		printk("ukl-kernel: process 1 (%s) was ended by signal %d\n", process->name, signal);
	if (process->pid == 1)
		mounts_end();
	if (process->pid == 1)
		power_off(signal ? 128 + signal : exit_code(process));
	vfork_release(process);
	process->alarm_deadline = 0;
	process_release(process);
	last->last_space = process->space;	/* the processor still runs on it, and perhaps on a stack in it */
	reparent_children(process, first_process);
	process->zombie = true;
	notify_parent(process);
}

/* Ends the current thread; with the last one, the process ends, with `status` if none was set before. */
void thread_exit(int status)
{
	struct thread *thread = current_thread();
	struct process *process = thread->process;
	if (thread->unmap_size != 0)
		space_unmap(process->space, thread->unmap_start, thread->unmap_size);
	if (thread->clear_child_tid != 0) {
		clear_user((void *)thread->clear_child_tid, sizeof(u32));
		futex_wake(thread->clear_child_tid, 1);
	}
	irq_disable();
	list_remove(&thread->in_process);
	if (list_empty(&process->threads)) {
		if (!process->exiting)
			process->exit_status = status;
		process->exiting = true;
		process_end(thread);
	}
	thread->state = THREAD_DEAD;
	schedule();
	__builtin_unreachable();
}

void process_exit(int status)
{
	struct process *process = current_process();
	struct thread *thread;
	if (!process->exiting) {
		process->exiting = true;
		process->exit_status = status;
		list_for_each(thread, &process->threads, in_process) {
			thread->exiting = true;
			thread_ready(thread);
			thread_kick(thread);
		}
	}
	thread_exit(status);
}

long sys_exit(int status) { thread_exit((status & 0xff) << 8); }
long sys_exit_group(int status) { process_exit((status & 0xff) << 8); }

/*
 * `pid` as wait4 takes it: a process, -1 for all, 0 for the caller's group, else minus a group.
 * 1: *zombie is one that has ended. 0: there are children to wait for. -ECHILD: none.
 */
static long find_zombie(int pid, struct process **zombie)
{
	struct process *child;
	int group = pid == 0 ? current_process()->group : -pid;
	long result = -ECHILD;
	list_for_each(child, &current_process()->children, sibling) {
		if (pid != -1 && child->pid != pid && child->group != group)
			continue;
		*zombie = child;
		if (child->zombie)
			return 1;
		result = 0;
	}
	return result;
}

/* No processor time is counted: the usage is all 0. */
enum { RUSAGE_SIZE = 144 };

long sys_wait4(int pid, int *status, int options, void *usage)
{
	struct process *zombie;
	long found = find_zombie(pid, &zombie);
	if (found == 0 && !(options & WNOHANG) &&
	    wait_event(&current_process()->child_exit, (found = find_zombie(pid, &zombie)) != 0) != 0)
		return -ERESTARTSYS;
	if (found <= 0)
		return found;
	if ((status && copy_to_user(status, &zombie->exit_status, sizeof *status)) ||
	    (usage && clear_user(usage, RUSAGE_SIZE)))
		return -EFAULT;
	pid = zombie->pid;
	process_free(zombie);
	return pid;
}
