/*
 * Exercise 3: ten times a call between before() and after(), which are there so that `ukl-emu measure` finds the
 * place. With -DFUNCTION it is a function call, else a system call.
 */
#include <unistd.h>

/* Keeps the compiler from merging a function into its caller. */
#define NOINLINE __attribute__((noipa))

NOINLINE void before(void) {}
NOINLINE void after(void) {}

#ifdef FUNCTION
static NOINLINE int call(void)
{
	return 0;
}
#else
#define call getppid
#endif

int main(void)
{
	for (int i = 0; i < 10; i++) {
		before();
		call();
		after();
	}
	return 0;
}
