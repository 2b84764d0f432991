/* Processes and threads as objects: numbers, making, finding, freeing. */
#include "file.h"
#include "process.h"

struct list all_processes = LIST_INIT(all_processes);
struct process *first_process;

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

/* Numbers are not used again: 2^31 of them last. */
int pid_allocate(void)
{
	static int last;
	return ++last;
}

/* What a new process has of its own. */
void process_init(struct process *process)
{
	process->pending.bits = 0;
	process->vfork_done = NULL;
	process->alarm_deadline = process->alarm_interval = 0;
	list_init(&process->children);
	list_init(&process->sibling);
	list_init(&process->threads);
	list_init(&process->link);
	wait_queue_init(&process->child_exit);
}

/* As `parent` in all but what process_init() says; it may have none. References are the caller's to count. */
struct process *process_create(struct process *parent, int pid)
{
	struct process *process = kmalloc(sizeof *process);
	if (!process)
		return NULL;
	if (parent)
		*process = *parent;
	process_init(process);
	process->pid = pid;
	if (parent) {
		process->parent = parent;
		process->parent_pid = parent->pid;
		list_add_tail(&parent->children, &process->sibling);
	}
	list_add_tail(&all_processes, &process->link);
	return process;
}

/* Gives back what a process holds but its address space, which may be in use until its last thread is gone. */
void process_release(struct process *process)
{
	files_free(process->files);
	inode_unref(process->directory);
	if (process->executable)
		inode_unref(process->executable);
}

/* The end of a process that was waited for, or that could not be completed. It has no thread and no files. */
void process_free(struct process *process)
{
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
#if CONFIG_SMP
	thread->affinity = current_thread()->affinity ?: ~0UL;
#endif
	fpu_init(thread->fpu);
	return thread;
}

/* Not of the thread whose kernel stack is in use. */
void thread_free(struct thread *thread)
{
	list_remove(&thread->in_process);
	if (thread->last_space)
		space_unref(thread->last_space);
	kfree((void *)(thread->kernel_stack_top - KERNEL_STACK_SIZE));
	kfree(thread);
}
