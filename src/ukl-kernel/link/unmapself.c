/*
 * How a detached thread of musl ends: it unmaps the stack it runs on and exits. musl's own version has no
 * memory access between the two SYSCALL instructions. Here SYSCALL has become a call, which needs a stack: the
 * last two calls run on one that all threads share, one at a time. The lock is given back by the kernel, which
 * clears the word of set_tid_address when the thread is gone.
 */
enum {
	SYS_munmap = 11,
	SYS_sched_yield = 24,
	SYS_exit = 60,
	SYS_set_tid_address = 218,
};

static int lock;
static char stack[1024] __attribute__((aligned(16)));

static long call(long number, long a, long b)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return result;
}

static __attribute__((noreturn, used)) void leave(void *base, unsigned long size)
{
	call(SYS_munmap, (long)base, (long)size);
	for (;;)
		call(SYS_exit, 0, 0);
}

__attribute__((noreturn, visibility("hidden"))) void __unmapself(void *base, unsigned long size)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE) != 0)
		call(SYS_sched_yield, 0, 0);
	call(SYS_set_tid_address, (long)&lock, 0);
	__asm__ volatile("mov %0, %%rsp; xor %%ebp, %%ebp; call *%3"
			 : : "r"(stack + sizeof stack), "D"(base), "S"(size), "r"(leave) : "memory");
	__builtin_unreachable();
}
