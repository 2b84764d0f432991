/* Small system calls: who a process is, its name and thread-local storage, random numbers, limits, reboot. */
#include "file.h"
#include "process.h"

long sys_empty(void) { return 0; }

long sys_getpid(void) { return current_process()->pid; }
long sys_gettid(void) { return current_thread()->tid; }
long sys_getppid(void) { return current_process()->parent_pid; }

long sys_getpgid(int pid)
{
	struct process *process = pid == 0 ? current_process() : process_find(pid);
	return process ? process->group : -ESRCH;
}
long sys_getpgrp(void) { return current_process()->group; }

/* Of the caller or a child. There are no sessions: a process may move to any group. */
long sys_setpgid(int pid, int group)
{
	struct process *self = current_process(), *process = pid == 0 ? self : process_find(pid);
	if (group < 0)
		return -EINVAL;
	if (!process || (process != self && process->parent != self))
		return -ESRCH;
	process->group = group == 0 ? process->pid : group;
	return 0;
}
long sys_setsid(void) { return current_process()->group = current_process()->pid; }

/* C libraries refuse kernels older than what they were built for: the release is the ABI's that is offered. */
long sys_uname(void *to)
{
	static const struct { char system[65], node[65], release[65], version[65], machine[65], domain[65]; } name = {
		"Linux", "ukl", "6.1.0-ukl", "ukl-kernel", "x86_64", "(none)",
	};

	return copy_to_user(to, &name, sizeof name);
}

enum { PR_SET_NAME = 15, PR_GET_NAME = 16 };

long sys_prctl(int option, u64 argument)
{
	char *name = current_process()->name;
	size_t size = sizeof current_process()->name;
	switch (option) {
	case PR_SET_NAME:
		return copy_from_user(name, (void *)argument, size - 1);	/* the last byte stays 0 */
	case PR_GET_NAME:
		return copy_to_user((void *)argument, name, size);
	default:
		return -EINVAL;
	}
}

enum { ARCH_SET_FS = 0x1002, ARCH_GET_FS };

/* GS is the kernel's. FS bases are canonical addresses: WRMSR faults on others (SDM vol. 2, WRMSR). */
long sys_arch_prctl(int code, u64 address)
{
	struct thread *thread = current_thread();
	switch (code) {
	case ARCH_SET_FS:
		if (canonical_rip(address) != address || (!thread->process->ring0 && address >= USER_TOP))
			return -EPERM;
		thread->fs_base = address;
		wrmsr(IA32_FS_BASE, address);
		return 0;
	case ARCH_GET_FS:
		return copy_to_user((void *)address, &thread->fs_base, sizeof thread->fs_base);
	default:
		return -EINVAL;
	}
}

enum { RLIMIT_STACK = 3, RLIMIT_NOFILE = 7 };

/* Limits are what the kernel is built for: they can be read. */
long sys_prlimit64(int pid, u32 resource, const void *new, u64 *old)
{
	u64 limit = resource == RLIMIT_STACK ? STACK_SIZE : resource == RLIMIT_NOFILE ? FILES_MAX : ~0UL;
	u64 soft_and_hard[2] = { limit, limit };
	(void)pid;
	if (new)
		return -EPERM;
	return old ? copy_to_user(old, soft_and_hard, sizeof soft_and_hard) : 0;
}

/* Linux's struct sysinfo is 14 words; what is not said is 0. */
enum { SYSINFO_UPTIME = 0, SYSINFO_TOTAL = 4, SYSINFO_FREE = 5, SYSINFO_UNIT = 13 };

long sys_sysinfo(u64 *to)
{
	u64 info[14] = { [SYSINFO_UPTIME] = time_now() / NS_PER_SECOND, [SYSINFO_TOTAL] = pages_total() * PAGE_SIZE,
		[SYSINFO_FREE] = pages_free() * PAGE_SIZE, [SYSINFO_UNIT] = 1 };
	return copy_to_user(to, info, sizeof info);
}

long sys_getrandom(u8 *to, size_t size)
{
	u8 block[256];
	for (size_t done = 0; done < size; done += sizeof block) {
		size_t part = MIN(size - done, sizeof block);
		random_fill(block, part);
		if (copy_to_user(to + done, block, part))
			return -EFAULT;
	}
	return size;
}

long sys_sched_yield(void)
{
	schedule();
	return 0;
}

/* Magic numbers and commands: include/uapi/linux/reboot.h. */
enum { REBOOT_MAGIC1 = 0xfee1dead, REBOOT_RESTART = 0x01234567, REBOOT_HALT = 0xcdef0123, REBOOT_POWER_OFF = 0x4321fedc };

long sys_reboot(u32 magic1, u32 magic2, u32 command)
{
	(void)magic2;
	if (magic1 == REBOOT_MAGIC1 && command == REBOOT_RESTART)
		reboot();
	if (magic1 == REBOOT_MAGIC1 && (command == REBOOT_POWER_OFF || command == REBOOT_HALT))
		power_off(0);
	return -EINVAL;
}
