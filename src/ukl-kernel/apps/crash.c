/*
 * Ways to die, chosen by the first argument. At ring 3 the process dies of a signal; at ring 0 there is nothing
 * between the mistake and the kernel, which stops with a panic that names it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noipa))

static NOINLINE void call_null(void)
{
	void (*volatile function)(void) = NULL;

	function();
	__asm__ volatile("");	/* not a jump: the call is this function's */
}

static NOINLINE void write_wild(void)
{
	*(volatile int *)0x00005555deadbeefUL = 1;
}

/* Canonical addresses have bits 63 to 47 alike (SDM vol. 1 3.3.7.1); another one is a general protection fault. */
static NOINLINE void write_noncanonical(void)
{
	*(volatile int *)0x1234567812345678UL = 1;
}

/* The kernel's code, at ring 0 as everywhere: CR0.WP makes read-only pages so for every ring. */
static NOINLINE void write_kernel_text(void)
{
	*(volatile int *)0xffffffff80100000UL = 0;
}

static NOINLINE void divide_by_zero(void)
{
	volatile int hundred = 100, zero = 0;

	printf("%d\n", hundred / zero);
}

static volatile int never = -1;

static NOINLINE int recurse(int depth)
{
	volatile char frame[256];

	if (depth == never)
		return 0;
	frame[0] = (char)depth;
	return recurse(depth + 1) + frame[0];
}

static NOINLINE void recurse_forever(void)
{
	recurse(0);
}

/* One step far beyond the end of the stack. */
static NOINLINE void overflow_stack(void)
{
	volatile char *below = (volatile char *)__builtin_frame_address(0) - (1UL << 30);

	*below = 1;
}

/* Loads a code segment beyond the descriptor table's limit: a general protection fault at any ring. */
static NOINLINE void misuse_privilege(void)
{
	__asm__ volatile("pushq $0xfff8; pushq $1f; lretq; 1:" : : : "memory");
}

static NOINLINE void invalid_opcode(void)
{
	__asm__ volatile("ud2");
}

static NOINLINE void call_abort(void)
{
	abort();
}

static const struct {
	const char *name;
	void (*function)(void);
} ways[] = {
	{ "null-call", call_null },
	{ "wild-write", write_wild },
	{ "noncanonical", write_noncanonical },
	{ "kernel-text", write_kernel_text },
	{ "divide", divide_by_zero },
	{ "recursion", recurse_forever },
	{ "stack-overflow", overflow_stack },
	{ "privilege", misuse_privilege },
	{ "invalid-opcode", invalid_opcode },
	{ "abort", call_abort },
};

int main(int count, char **arguments)
{
	const char *wanted = count > 1 ? arguments[1] : "null-call";

	for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		if (strcmp(ways[i].name, wanted) == 0) {
			printf("crash: %s\n", wanted);
			fflush(stdout);
			ways[i].function();
			printf("crash: still here\n");
			return 1;
		}
	}
	printf("crash: expected one of");
	for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++)
		printf(" %s", ways[i].name);
	printf("\n");
	return 1;
}
