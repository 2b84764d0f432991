/* New threads and processes: clone, clone3, fork, vfork. */
#include "file.h"
#include "process.h"

/* clone3's view of the arguments; the older calls fill in one too. */
struct clone_request {
	u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

enum {
	CLONE_IMPOSSIBLE = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
			   CLONE_NEWNET | CLONE_PIDFD,
};

static bool flags_valid(u64 flags)
{
	if (flags & CLONE_IMPOSSIBLE)
		return false;
	if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
		return false;
	return !((flags & CLONE_SIGHAND) && !(flags & CLONE_VM));
}

/* What a child process has of its parent: shared or copied, as the flags say. */
static long inherit(struct process *child, struct process *parent, u64 flags)
{
	if (flags & CLONE_VM) {
		child->space = parent->space;
		space_ref(child->space);
	} else if (!(child->space = space_fork(parent->space))) {
		return -ENOMEM;
	}
	if (flags & CLONE_FILES) {
		child->files = parent->files;
		child->files->references++;
	} else if (!(child->files = files_fork(parent->files))) {
		return -ENOMEM;
	}
	if (flags & CLONE_SIGHAND) {
		child->actions = parent->actions;
		child->actions->references++;
	} else {
		child->actions = kmalloc(sizeof *child->actions);
		if (!child->actions)
			return -ENOMEM;
		*child->actions = *parent->actions;
		child->actions->references = 1;
	}
	child->directory = parent->directory;
	inode_ref(child->directory);
	child->executable = parent->executable;
	if (child->executable)
		inode_ref(child->executable);
	return 0;
}

/* A new process for the child, or the caller's own for a thread. */
static struct process *process_for(u64 flags, int pid, int exit_signal)
{
	struct process *parent = current_process();
	struct process *child;

	if (flags & CLONE_THREAD)
		return parent;
	child = process_create((flags & CLONE_PARENT) && parent->parent ? parent->parent : parent, pid);
	if (!child)
		return NULL;
	child->group = parent->group;
	child->session = parent->session;
	child->ring0 = parent->ring0;
	child->umask = parent->umask;
	child->exit_signal = exit_signal;
	memcpy(child->name, parent->name, sizeof child->name);
	if (inherit(child, parent, flags) != 0) {
		process_free(child);
		return NULL;
	}
	return child;
}

static bool fork_is_possible(u64 flags)
{
	static bool told;

	if (!LINKED_APPLICATION || !current_process()->ring0 || (flags & CLONE_VM))
		return true;
	if (!told)
		printk("ukl-kernel: fork() needs a copy of the application's data, which lies in the kernel's image; "
		       "use posix_spawn()\n");
	told = true;
	return false;
}

static long clone(const struct clone_request *request)
{
	u64 flags = request->flags;
	struct thread *parent = current_thread(), *child;
	struct process *process;
	struct registers registers = *parent->frame;
	int tid;

	if (!flags_valid(flags) || request->exit_signal > SIGNALS)
		return -EINVAL;
	if (!fork_is_possible(flags))
		return -ENOSYS;
	tid = pid_allocate();
	process = process_for(flags, tid, request->exit_signal);
	if (!process)
		return -ENOMEM;
	child = thread_create(process, tid);
	if (!child) {
		if (process != parent->process)
			process_free(process);
		return -ENOMEM;
	}

	registers.rax = 0;
	if (request->stack != 0)
		registers.rsp = request->stack + request->stack_size;
	child->fs_base = flags & CLONE_SETTLS ? request->tls : parent->fs_base;
	child->signal_mask = parent->signal_mask;
	if (!(flags & CLONE_VM) || (flags & CLONE_VFORK))
		child->signal_stack = parent->signal_stack;
	fpu_save(child->fpu);
	thread_prepare(child, &registers);

	if (flags & CLONE_CHILD_CLEARTID)
		child->clear_child_tid = request->child_tid;
	if (flags & CLONE_PARENT_SETTID)
		copy_to_user((void *)request->parent_tid, &tid, sizeof tid);
	/* Of a copied address space: the page is shared with the parent until written, so write from the child's. */
	if (flags & CLONE_CHILD_SETTID) {
		struct space *space = parent->process->space;

		parent->process->space = process->space;
		space_switch(process->space);
		copy_to_user((void *)request->child_tid, &tid, sizeof tid);
		parent->process->space = space;
		space_switch(space);
	}

	if (flags & CLONE_VFORK) {
		u64 irq = irq_save();

		process->vfork_parent = parent;
		parent->vfork_waiting = true;
		thread_ready(child);
		while (parent->vfork_waiting && !parent->exiting)
			wait_sleep_killable(&parent->process->changed);
		irq_restore(irq);
		if (parent->vfork_waiting && (process = process_find(tid)))
			process->vfork_parent = NULL;
		parent->vfork_waiting = false;
	} else {
		thread_ready(child);
	}
	return tid;
}

void vfork_release(struct process *child)
{
	struct thread *parent = child->vfork_parent;

	child->vfork_parent = NULL;
	if (parent) {
		parent->vfork_waiting = false;
		wake_all(&parent->process->changed);
	}
}

long sys_clone(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls)
{
	return clone(&(struct clone_request){ .flags = flags & ~(u64)CSIGNAL, .exit_signal = flags & CSIGNAL,
		.stack = stack, .parent_tid = parent_tid, .child_tid = child_tid, .tls = tls });
}

long sys_clone3(const void *arguments, u64 size)
{
	struct clone_request request = {};

	if (size < sizeof request)
		return -EINVAL;
	if (copy_from_user(&request, arguments, sizeof request))
		return -EFAULT;
	return request.flags & CSIGNAL ? -EINVAL : clone(&request);
}

long sys_fork(void)
{
	return clone(&(struct clone_request){ .exit_signal = SIGCHLD });
}

long sys_vfork(void)
{
	return clone(&(struct clone_request){ .flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD });
}
