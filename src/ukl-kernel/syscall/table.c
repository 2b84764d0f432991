/* The dispatch table, and what happens to numbers that are not in it. */
#include "lib.h"
#include "process.h"
#include "syscall.h"

/* Entry code leaves the number in the thread's frame; calls that bypass it pass it as a seventh argument. */
long sys_unknown(void);

#define ENTRY(number, name) [number] = (system_call_t)(void *)sys_##name,

const system_call_t system_call_table[SYSTEM_CALLS_MAX] = {
	FILE_SYSTEM_CALLS(ENTRY)
	PROCESS_SYSTEM_CALLS(ENTRY)
};
