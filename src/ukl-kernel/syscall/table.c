/* The dispatch table, and what happens to numbers that are not in it. */
#include "lib.h"
#include "process.h"
#include "syscall.h"

long report_unknown(u64 number)
{
	static u64 reported[SYSTEM_CALLS_MAX / 64 + 1];
	u64 slot = MIN(number, (u64)SYSTEM_CALLS_MAX);	/* all that are too large share one bit */
	if (!(reported[slot / 64] & 1UL << slot % 64)) {
		reported[slot / 64] |= 1UL << slot % 64;
		printk("ukl-kernel: system call %lu (unknown) from %d\n", number, current_process()->pid);
	}
	return -ENOSYS;
}

/* Entry code calls through the table with the number still in RAX: the only way in for it here. */
__attribute__((naked)) long sys_unknown(void) { __asm__("movq %rax, %rdi; jmp report_unknown"); }
long sys_unsupported(void) { return -ENOSYS; }
long sys_accepted(void) { return 0; }

#define ENTRY(number, name) [number] = (system_call_t)(void *)sys_##name,
#if CONFIG_DISK
#define DECLARE_LOCKED(number, name) long tree_##name(u64, u64, u64, u64, u64, u64);
#define LOCKED_ENTRY(number, name) [number] = tree_##name,
TREE_SYSTEM_CALLS(DECLARE_LOCKED)
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const system_call_t system_call_table[SYSTEM_CALLS_MAX] = {
	[0 ... SYSTEM_CALLS_MAX - 1] = (system_call_t)(void *)sys_unknown,
	FILE_SYSTEM_CALLS(ENTRY)
	NETWORK_SYSTEM_CALLS(ENTRY)
	PROCESS_SYSTEM_CALLS(ENTRY)
#if CONFIG_DISK
	TREE_SYSTEM_CALLS(LOCKED_ENTRY)
#endif
};
#pragma GCC diagnostic pop
