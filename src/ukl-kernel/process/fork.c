/* New threads and processes: clone, fork, vfork. */
#include "file.h"
#include "process.h"

/* A thread shares everything; a process has its own of everything but, with CLONE_VM, the address space. */
enum {
	THREAD_FLAGS = CLONE_THREAD | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND,
	SUPPORTED_FLAGS = THREAD_FLAGS | CSIGNAL | CLONE_VFORK | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
			  CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_CHILD_SETTID,
};

/* A new process for the child, or the caller's own for a thread. */
static struct process *process_for(u64 flags, int pid)
{
	struct process *parent = current_process();
	if (flags & CLONE_THREAD)
		return parent;
	struct process *child = process_create(parent, pid);
	if (!child)
		return NULL;
	child->files = files_fork(parent->files);
	child->space = flags & CLONE_VM ? parent->space : space_fork(parent->space);
	if (!child->files || !child->space) {
		if (child->files)
			files_free(child->files);
		if (child->space && !(flags & CLONE_VM))
			space_unref(child->space);
		process_free(child);
		return NULL;
	}
	if (flags & CLONE_VM)
		space_ref(child->space);
	inode_ref(child->directory);
	if (child->executable)
		inode_ref(child->executable);
	return child;
}

/* Of a copied address space: the page is shared with the parent until written, so write from the child's. */
static void put_child_tid(struct process *child, u64 address, int tid)
{
	struct process *parent = current_process();
	struct space *space = parent->space;
	parent->space = child->space;
	space_switch(child->space);
	copy_to_user((void *)address, &tid, sizeof tid);
	parent->space = space;
	space_switch(space);
}

/* Until the child calls execve or exits. The parent cannot be ended before. */
static void wait_for_vfork(struct process *parent, struct thread *child)
{
	bool done = false;
	u64 irq = irq_save();
	child->process->vfork_done = &done;
	thread_ready(child);
	while (!done)
		wait_uninterrupted(&parent->child_exit);
	irq_restore(irq);
}

void vfork_release(struct process *child)
{
	if (!child->vfork_done)
		return;
	*child->vfork_done = true;
	child->vfork_done = NULL;
	wake_all(&child->parent->child_exit);
}

long sys_clone(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls)
{
	struct thread *parent = current_thread();
	u64 shared = flags & THREAD_FLAGS;
	if (flags & ~(u64)SUPPORTED_FLAGS || (shared != THREAD_FLAGS && shared & ~(u64)CLONE_VM))
		return -EINVAL;
	if (LINKED_APPLICATION && parent->process->ring0 && !(flags & CLONE_VM)) {
		printk("ukl-kernel: fork() needs a copy of the application's data, which lies in the kernel's image; "
		       "use posix_spawn()\n");
		return -ENOSYS;
	}
	int tid = pid_allocate();
	struct process *process = process_for(flags, tid);
	struct thread *child = process ? thread_create(process, tid) : NULL;
	if (!child) {
		if (process && process != parent->process) {
			process_release(process);
			space_unref(process->space);
			process_free(process);
		}
		return -ENOMEM;
	}
	struct registers registers = *parent->frame;
	registers.rax = 0;
	if (stack != 0)
		registers.rsp = stack;
	child->fs_base = flags & CLONE_SETTLS ? tls : parent->fs_base;
	child->signal_mask = parent->signal_mask;
	if (!(flags & CLONE_THREAD))
		child->signal_stack = parent->signal_stack;
	fpu_save(child->fpu);
	thread_prepare(child, &registers);
	if (flags & CLONE_CHILD_CLEARTID)
		child->clear_child_tid = child_tid;
	if (flags & CLONE_PARENT_SETTID)
		copy_to_user((void *)parent_tid, &tid, sizeof tid);
	if (flags & CLONE_CHILD_SETTID)
		put_child_tid(process, child_tid, tid);
	if (flags & CLONE_VFORK)
		wait_for_vfork(parent->process, child);
	else
		thread_ready(child);
	return tid;
}

long sys_fork(void) { return sys_clone(SIGCHLD, 0, 0, 0, 0); }
long sys_vfork(void) { return sys_clone(CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0); }
