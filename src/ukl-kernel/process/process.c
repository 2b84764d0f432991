/* Processes and threads as objects: numbers, making, finding, freeing. */
#include "file.h"
#include "process.h"

struct list all_processes = LIST_INIT(all_processes);

enum { PID_MAX = 32768 };

struct process *process_find(int pid)
{
	struct process *process;
	list_for_each(process, &all_processes, link)
		if (process->pid == pid)
			return process;
	return NULL;
}

struct thread *thread_find(int tid)
{
	struct process *process;
	struct thread *thread;
	list_for_each(process, &all_processes, link)
		list_for_each(thread, &process->threads, in_process)
			if (thread->tid == tid)
				return thread;
	return NULL;
}

/* A number that no process, thread or group has. */
static bool pid_used(int pid)
{
	struct process *process;
	list_for_each(process, &all_processes, link)
		if (process->pid == pid || process->group == pid)
			return true;
	return thread_find(pid) != NULL;
}

int pid_allocate(void)
{
	static int last;
	do
		last = last == PID_MAX - 1 ? 2 : last + 1;
	while (pid_used(last));
	return last;
}

void process_init(struct process *process)
{
	process->umask = 022;
	list_init(&process->children);
	list_init(&process->sibling);
	list_init(&process->threads);
	list_init(&process->link);
	wait_queue_init(&process->child_exit);
	wait_queue_init(&process->changed);
}

struct process *process_create(struct process *parent, int pid)
{
	struct process *process = kmalloc(sizeof *process);
	if (!process)
		return NULL;
	process_init(process);
	process->pid = process->group = pid;
	if (parent) {
		process->parent = parent;
		process->parent_pid = parent->pid;
		list_add_tail(&parent->children, &process->sibling);
	}
	list_add_tail(&all_processes, &process->link);
	return process;
}

/* Gives back what a process holds beside its address space, which may be in use until its last thread is gone. */
void process_release(struct process *process)
{
	if (process->files)
		files_unref(process->files);
	if (process->directory)
		inode_unref(process->directory);
	if (process->executable)
		inode_unref(process->executable);
	process->files = NULL;
	process->directory = process->executable = NULL;
}

/* The end of a process that was waited for, or that could not be completed. It has no thread. */
void process_free(struct process *process)
{
	process_release(process);
	if (process->space)
		space_unref(process->space);
	list_remove(&process->sibling);
	list_remove(&process->link);
	kfree(process);
}

void thread_init(struct thread *thread, struct process *process)
{
	thread->process = process;
	thread->signal_stack.flags = SS_DISABLE;
	list_init(&thread->run);
	list_init(&thread->wait);
	list_init(&thread->sleep);
	list_add_tail(&process->threads, &thread->in_process);
}

struct thread *thread_create(struct process *process, int tid)
{
	struct thread *thread = kmalloc(sizeof *thread);
	void *stack = kmalloc(KERNEL_STACK_SIZE);
	if (!thread || !stack) {
		kfree(thread);
		kfree(stack);
		return NULL;
	}
	ASSERT(((u64)thread->fpu & 15) == 0);	/* FXSAVE wants it (SDM vol. 1 10.5.1) */
	thread_init(thread, process);
	thread->tid = tid;
	thread->kernel_stack_top = (u64)stack + KERNEL_STACK_SIZE;
	thread->state = THREAD_WAITING;
	fpu_init(thread->fpu);
	return thread;
}

/* Not of the thread whose kernel stack is in use. */
void thread_free(struct thread *thread)
{
	list_remove(&thread->in_process);
	if (thread->last_space)
		space_unref(thread->last_space);
	if (thread->last_process)
		process_free(thread->last_process);
	kfree((void *)(thread->kernel_stack_top - KERNEL_STACK_SIZE));
	kfree(thread);
}
