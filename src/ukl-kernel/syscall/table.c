/* The dispatch table, and what happens to numbers that are not in it. */
#include "lib.h"
#include "process.h"
#include "syscall.h"

/* Entry code calls through the table with the number still in RAX: the only way in for it here. */
__asm__(".pushsection .text\n"
	".type sys_unknown, @function\n"
	"sys_unknown: movq %rax, %rdi\n"
	"jmp report_unknown\n"
	".size sys_unknown, . - sys_unknown\n"
	".globl sys_unknown\n"
	".popsection");
long sys_unknown(u64, u64, u64, u64, u64, u64);

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

long sys_unsupported(void) { return -ENOSYS; }
long sys_accepted(void) { return 0; }

#define ENTRY(number, name) [number] = (system_call_t)(void *)sys_##name,

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const system_call_t system_call_table[SYSTEM_CALLS_MAX] = {
	[0 ... SYSTEM_CALLS_MAX - 1] = sys_unknown,
	FILE_SYSTEM_CALLS(ENTRY)
	PROCESS_SYSTEM_CALLS(ENTRY)
};
#pragma GCC diagnostic pop
