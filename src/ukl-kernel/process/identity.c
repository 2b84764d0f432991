/* Who a process is: numbers, groups and sessions, users, the system's name. */
#include "process.h"

long sys_getpid(void) { return current_process()->pid; }
long sys_gettid(void) { return current_thread()->tid; }
long sys_getppid(void) { return current_process()->parent_pid; }
long sys_getpgrp(void) { return current_process()->group; }

static struct process *process_or_self(int pid) { return pid == 0 ? current_process() : process_find(pid); }

long sys_getpgid(int pid)
{
	struct process *process = process_or_self(pid);

	return process ? process->group : -ESRCH;
}

long sys_getsid(int pid)
{
	struct process *process = process_or_self(pid);

	return process ? process->session : -ESRCH;
}

static bool group_exists(int group, int session)
{
	struct process *process;

	list_for_each(process, &all_processes, link)
		if (process->group == group && process->session == session)
			return true;
	return false;
}

/* POSIX, setpgid: the caller or a child that has not called execve, in the caller's session, not its leader. */
long sys_setpgid(int pid, int group)
{
	struct process *self = current_process(), *process = process_or_self(pid);

	if (group < 0)
		return -EINVAL;
	if (!process || (process != self && process->parent != self))
		return -ESRCH;
	if (group == 0)
		group = process->pid;
	if (process != self && process->has_executed)
		return -EACCES;
	if (process->session != self->session || process->session == process->pid)
		return -EPERM;
	if (group != process->pid && !group_exists(group, self->session))
		return -EPERM;
	process->group = group;
	return 0;
}

long sys_setsid(void)
{
	struct process *self = current_process(), *process;

	list_for_each(process, &all_processes, link)
		if (process->group == self->pid)
			return -EPERM;
	self->group = self->session = self->pid;
	return self->pid;
}

/*
 * There is one user, root. Another number gives EINVAL, which is what Linux says of a user that the namespace does
 * not know (user_namespaces(7)).
 */
long sys_getuid(void) { return 0; }
long sys_geteuid(void) { return 0; }
long sys_getgid(void) { return 0; }
long sys_getegid(void) { return 0; }
long sys_setuid(u32 user) { return user == 0 ? 0 : -EINVAL; }
long sys_setgid(u32 group) { return group == 0 ? 0 : -EINVAL; }

/* ~0 keeps what is there. */
static bool settable(u32 id) { return id == 0 || id == ~0U; }
static long set_three(u32 real, u32 effective, u32 saved)
{
	return settable(real) && settable(effective) && settable(saved) ? 0 : -EINVAL;
}
static long get_three(u32 *real, u32 *effective, u32 *saved)
{
	u32 root = 0;

	return copy_to_user(real, &root, 4) || copy_to_user(effective, &root, 4) || copy_to_user(saved, &root, 4)
		? -EFAULT : 0;
}
long sys_setreuid(u32 real, u32 effective) { return set_three(real, effective, 0); }
long sys_setregid(u32 real, u32 effective) { return set_three(real, effective, 0); }
long sys_setresuid(u32 real, u32 effective, u32 saved) { return set_three(real, effective, saved); }
long sys_setresgid(u32 real, u32 effective, u32 saved) { return set_three(real, effective, saved); }
long sys_getresuid(u32 *real, u32 *effective, u32 *saved) { return get_three(real, effective, saved); }
long sys_getresgid(u32 *real, u32 *effective, u32 *saved) { return get_three(real, effective, saved); }
long sys_getgroups(void) { return 0; }
long sys_setgroups(u64 count) { return count == 0 ? 0 : -EINVAL; }

/* C libraries refuse kernels older than what they were built for: the release is the ABI's that is offered. */
long sys_uname(void *to)
{
	static const struct { char system[65], node[65], release[65], version[65], machine[65], domain[65]; } name = {
		"Linux", "ukl", "6.1.0-ukl", "ukl-kernel", "x86_64", "(none)",
	};

	return copy_to_user(to, &name, sizeof name);
}
