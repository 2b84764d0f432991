/*
 * How a detached thread of musl ends: it unmaps the stack it runs on and exits. musl's own version has no
 * memory access between the two SYSCALL instructions. Here SYSCALL has become a call, which needs a stack: the
 * last two calls run on one that all threads share. One at a time: the thread holds musl's lock of the thread
 * list, which the kernel gives back when the thread is gone (CLONE_CHILD_CLEARTID).
 */
enum { SYS_munmap = 11, SYS_exit = 60 };

static char stack[4096] __attribute__((aligned(16)));

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
	__asm__ volatile("mov %0, %%rsp; xor %%ebp, %%ebp; call *%3"
			 : : "r"(stack + sizeof stack), "D"(base), "S"(size), "r"(leave) : "memory");
	__builtin_unreachable();
}
