/*
 * Exercise 2: enters ring 0 without asking for it: by page faults, by the timer's interrupts, and by a mistake.
 * The names of the functions show in the trace.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* Keeps the compiler from merging a function into its caller. */
#define NOINLINE __attribute__((noipa))

#ifndef PAGES
#define PAGES 4
#endif

enum { PAGE = 4096, TURNS = 4000000 };

/* Writes one byte to each page. */
static NOINLINE void touch(volatile char *memory)
{
	for (int i = 0; i < PAGES; i++)
		memory[i * PAGE] = 1;
}

/* Works for a while, and asks the kernel for nothing. */
static NOINLINE void spin(void)
{
	for (volatile int i = 0; i < TURNS; i++)
		;
}

static NOINLINE void follow_null(void)
{
	*(volatile int *)NULL = 1;
}

static void on_fault(int signal)
{
	static const char text[] = "SIGSEGV: that was a mistake.\n";

	(void)signal;
	write(1, text, sizeof(text) - 1);
	_exit(0);
}

int main(void)
{
	/* At an address that is easy to find in a trace. */
	char *memory = mmap((void *)0x10000000, PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	touch(memory);
	touch(memory);
	spin();
	signal(SIGSEGV, on_fault);
	follow_null();
	return 0;
}
