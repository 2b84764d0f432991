/* Small system calls: who a process is, its name and FS base, random numbers, limits, reboot. */
#include "file.h"
#include "process.h"

long sys_empty(void) { return 0; }

long sys_getpid(void) { return current_process()->pid; }
long sys_gettid(void) { return current_thread()->tid; }
long sys_getppid(void) { return current_process()->parent_pid; }

long sys_getpgrp(void) { return current_process()->group; }
long sys_getpgid(int pid)
{
	struct thread *thread = pid == 0 ? current_thread() : thread_find(pid);
	return thread ? thread->process->group : -ESRCH;
}

/* Of the caller or a child. There are no sessions: a process may move to any group. */
long sys_setpgid(int pid, int group)
{
	struct thread *thread = pid == 0 ? current_thread() : thread_find(pid);
	if (!thread || (thread->process != current_process() && thread->process->parent != current_process()))
		return -ESRCH;
	thread->process->group = group == 0 ? thread->process->pid : group;
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

enum { ARCH_SET_FS = 0x1002 };

/* GS is the kernel's. FS bases are canonical addresses: WRMSR faults on others (SDM vol. 2, WRMSR). */
long sys_arch_prctl(int code, u64 address)
{
	struct thread *thread = current_thread();
	if (code != ARCH_SET_FS)
		return -EINVAL;
	if (canonical_rip(address) != address || (!thread->process->ring0 && address >= USER_TOP))
		return -EPERM;
	thread->fs_base = address;
	wrmsr(IA32_FS_BASE, address);
	return 0;
}

/* Limits cannot be set, and those that the kernel has are not told. */
long sys_prlimit64(int pid, u32 resource, const void *new, u64 *old)
{
	static const u64 unlimited[2] = { ~0UL, ~0UL };		/* soft and hard */
	(void)pid, (void)resource;
	return new ? -EPERM : old ? copy_to_user(old, unlimited, sizeof unlimited) : 0;
}

/* Linux's struct sysinfo is 14 words; what is not said is 0. */
long sys_sysinfo(u64 *to)
{
	enum { UPTIME = 0, TOTAL = 4, FREE = 5, UNIT = 13 };
	u64 info[14] = { [UPTIME] = time_now() / NS_PER_SECOND, [TOTAL] = pages_total() * PAGE_SIZE,
			 [FREE] = pages_free() * PAGE_SIZE, [UNIT] = 1 };
	return copy_to_user(to, info, sizeof info);
}

/* At most as much as callers may expect at once (getrandom(2)). */
long sys_getrandom(void *to, size_t size)
{
	u8 block[256];
	size = MIN(size, sizeof block);
	random_fill(block, size);
	return copy_to_user(to, block, size) ? -EFAULT : (long)size;
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
	if (CONFIG_DISK && magic1 == REBOOT_MAGIC1 &&
	    (command == REBOOT_RESTART || command == REBOOT_POWER_OFF || command == REBOOT_HALT))
		mounts_end();
	if (magic1 == REBOOT_MAGIC1 && command == REBOOT_RESTART)
		reboot();
	if (magic1 == REBOOT_MAGIC1 && (command == REBOOT_POWER_OFF || command == REBOOT_HALT))
		power_off(0);
	return -EINVAL;
}
