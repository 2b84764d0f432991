/* System calls that belong nowhere else: limits, scheduling parameters, random numbers, reboot. */
#include "file.h"
#include "process.h"

long sys_empty(void) { return 0; }

enum { PR_GET_DUMPABLE = 3, PR_SET_DUMPABLE = 4, PR_SET_NAME = 15, PR_GET_NAME = 16 };

long sys_prctl(int option, u64 argument)
{
	struct process *process = current_process();
	char name[16];

	switch (option) {
	case PR_SET_NAME:
		if (copy_from_user(name, (void *)argument, sizeof name))
			return -EFAULT;
		strlcpy(process->name, name, sizeof process->name);
		return 0;
	case PR_GET_NAME:
		return copy_to_user((void *)argument, process->name, sizeof process->name);
	case PR_GET_DUMPABLE:
		return 0;			/* there are no core dumps */
	case PR_SET_DUMPABLE:
		return argument == 0 ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS };

/* GS is the kernel's. FS bases are canonical addresses: WRMSR faults on others (SDM vol. 2, WRMSR). */
long sys_arch_prctl(int code, u64 address)
{
	struct thread *thread = current_thread();

	switch (code) {
	case ARCH_SET_FS:
		if (!thread->process->ring0 && address >= USER_TOP)
			return -EPERM;
		if (address + (1UL << 47) >= 1UL << 48)
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

struct sysinfo {
	s64 uptime;
	u64 loads[3], total_memory, free_memory, shared, buffers, total_swap, free_swap;
	u16 processes, pad;
	u64 total_high, free_high;
	u32 unit;			/* bytes that the memory figures count in */
};

long sys_sysinfo(struct sysinfo *to)
{
	struct sysinfo info = { .uptime = time_now() / NS_PER_SECOND, .total_memory = pages_total() * PAGE_SIZE,
		.free_memory = pages_free() * PAGE_SIZE, .unit = 1 };
	struct process *process;

	list_for_each(process, &all_processes, link)
		info.processes++;
	return copy_to_user(to, &info, sizeof info);
}

struct rlimit { u64 soft, hard; };
enum { RLIMIT_STACK = 3, RLIMIT_CORE = 4, RLIMIT_NOFILE = 7, RLIMITS = 16 };
#define INFINITE ~0UL

static struct rlimit limit_of(u32 resource)
{
	switch (resource) {
	case RLIMIT_STACK:
		return (struct rlimit){ 8UL << 20, 8UL << 20 };
	case RLIMIT_NOFILE:
		return (struct rlimit){ FILES_MAX, FILES_MAX };
	case RLIMIT_CORE:
		return (struct rlimit){ 0, 0 };
	default:
		return (struct rlimit){ INFINITE, INFINITE };
	}
}

/* Limits are what the kernel is built for: they can be read, and set to what they are. */
long sys_prlimit64(int pid, u32 resource, const struct rlimit *new, struct rlimit *old)
{
	struct rlimit limit = limit_of(resource), wanted;

	if (resource >= RLIMITS)
		return -EINVAL;
	if (pid != 0 && !process_find(pid))
		return -ESRCH;
	if (new) {
		if (copy_from_user(&wanted, new, sizeof wanted))
			return -EFAULT;
		if (wanted.soft != limit.soft)
			return -EPERM;
	}
	return old ? copy_to_user(old, &limit, sizeof limit) : 0;
}
long sys_getrlimit(u32 resource, struct rlimit *to) { return sys_prlimit64(0, resource, NULL, to); }
long sys_setrlimit(u32 resource, const struct rlimit *from) { return sys_prlimit64(0, resource, from, NULL); }

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

/* Magic numbers and commands: include/uapi/linux/reboot.h. */
enum {
	REBOOT_MAGIC1 = 0xfee1dead, REBOOT_MAGIC2 = 0x28121969, REBOOT_RESTART = 0x01234567, REBOOT_HALT = 0xcdef0123,
	REBOOT_POWER_OFF = 0x4321fedc, REBOOT_CAD_ON = 0x89abcdef, REBOOT_CAD_OFF = 0,
};

long sys_reboot(u32 magic1, u32 magic2, u32 command)
{
	if (magic1 != REBOOT_MAGIC1 || magic2 != REBOOT_MAGIC2)
		return -EINVAL;
	switch (command) {
	case REBOOT_RESTART:
		reboot();
	case REBOOT_HALT:
	case REBOOT_POWER_OFF:
		power_off(0);
	case REBOOT_CAD_ON:
	case REBOOT_CAD_OFF:
		return 0;
	default:
		return -EINVAL;
	}
}

/* The scheduler knows one policy, SCHED_OTHER, and one priority; niceness is kept and has no effect. */
enum { SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_POLICIES };

long sys_sched_yield(void)
{
	schedule();
	return 0;
}
long sys_sched_getscheduler(void) { return SCHED_OTHER; }
long sys_sched_setscheduler(int pid, int policy)
{
	(void)pid;
	return policy == SCHED_OTHER ? 0 : -EPERM;
}
long sys_sched_getparam(int pid, int *priority)
{
	int none = 0;

	(void)pid;
	return copy_to_user(priority, &none, sizeof none);
}
long sys_sched_setparam(int pid, const int *priority)
{
	int value;

	(void)pid;
	return copy_from_user(&value, priority, sizeof value) ? -EFAULT : value == 0 ? 0 : -EINVAL;
}
long sys_sched_get_priority_max(int policy)
{
	return policy < 0 || policy >= SCHED_POLICIES ? -EINVAL : policy == SCHED_OTHER ? 0 : 99;
}
long sys_sched_get_priority_min(int policy)
{
	return policy < 0 || policy >= SCHED_POLICIES ? -EINVAL : policy == SCHED_OTHER ? 0 : 1;
}

/* One processor, number 0. The result is the mask's size in bytes. */
long sys_sched_getaffinity(int pid, u64 size, u64 *to)
{
	u64 mask = 1;

	(void)pid;
	if (size < sizeof mask)
		return -EINVAL;
	return copy_to_user(to, &mask, sizeof mask) ? -EFAULT : (long)sizeof mask;
}
long sys_sched_setaffinity(int pid, u64 size, const u8 *from)
{
	u8 first;

	(void)pid;
	if (size == 0 || copy_from_user(&first, from, 1))
		return size == 0 ? -EINVAL : -EFAULT;
	return first & 1 ? 0 : -EINVAL;
}
long sys_getcpu(u32 *processor, u32 *node)
{
	u32 zero = 0;

	if (processor && copy_to_user(processor, &zero, sizeof zero))
		return -EFAULT;
	return node ? copy_to_user(node, &zero, sizeof zero) : 0;
}

long sys_getpriority(int which, int who)
{
	struct process *process = which == 0 && who != 0 ? process_find(who) : current_process();

	return process ? 20 - process->nice : -ESRCH;
}
long sys_setpriority(int which, int who, int nice)
{
	struct process *process = which == 0 && who != 0 ? process_find(who) : current_process();

	if (!process)
		return -ESRCH;
	process->nice = MAX(-20, MIN(nice, 19));
	return 0;
}

/* A restartable sequence would have to be watched at every preemption; C libraries do without. */
long sys_rseq(void) { return -ENOSYS; }
