/*
 * What interrupts and faults must leave alone: registers, floating point, the stack below and above the stack
 * pointer, pages of several threads; with a periodic signal, deep recursion over pages never touched before, and
 * faults that a handler leaves by a jump.
 */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

enum { WORKERS = 3, PAGES = 16, PAGE = 4096, ROUNDS = 20, STEPS = 2000, DEPTH = 2000 };

static volatile int alarms, alarms_wrong;
static volatile double alarms_sum;

static void on_alarm(int signal)
{
	char block[3000];

	alarms += signal == SIGALRM;
	alarms_sum += 1.5;
	memset(block, alarms, sizeof block);
	getppid();
	for (unsigned i = 0; i < sizeof block; i++)
		alarms_wrong += block[i] != (char)alarms;
}

static unsigned long scramble(unsigned long h, int steps)
{
	while (steps--)
		h = h * 6364136223846793005UL + 1442695040888963407UL;
	return h;
}

static double approach(double f)
{
	for (int k = 1; k <= STEPS; k++)
		f = f * 0.999 + 1.0 / k;
	return f;
}

/* Adds up how many of its frames still hold what was put there. */
static __attribute__((noipa)) int deep(int depth)
{
	volatile int frame[300];

	for (int i = 0; i < 300; i += 100)
		frame[i] = depth + i;
	int below = depth ? deep(depth - 1) : 0;
	return below + (frame[0] == depth && frame[100] == depth + 100 && frame[200] == depth + 200);
}

static void *work(void *argument)
{
	double f = (double)(long)argument, wanted = f;
	long wrong = 0;

	for (int round = 0; round < ROUNDS; round++) {
		char *pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (int k = 0; k < PAGES; k++)
			pages[k * PAGE + round] = (char)((long)argument + k);
		f = approach(f);
		for (int k = 0; k < PAGES; k++)
			wrong += pages[k * PAGE + round] != (char)((long)argument + k);
		munmap(pages, PAGES * PAGE);
		wrong += deep(20) != 21;
	}
	for (int round = 0; round < ROUNDS; round++)
		wanted = approach(wanted);
	return (void *)(wrong + (f != wanted));
}

static sigjmp_buf before_fault;
static volatile unsigned long fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	fault_address = (unsigned long)info->si_addr;
	siglongjmp(before_fault, 1);
}

static int faults_caught(void)
{
	static char stack[16384];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	volatile int caught = 0;

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	for (volatile unsigned long i = 0; i < 20; i++) {
		if (sigsetjmp(before_fault, 1) == 0)
			*(volatile char *)(0x123456000UL + i) = 1;
		else
			caught += fault_address == 0x123456000UL + i;
	}
	return caught;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval every_10_ms = { { 0, 10000 }, { 0, 10000 } }, off = { { 0, 0 }, { 0, 0 } };
	pthread_t workers[WORKERS];
	int ends[2], lost = 0;
	unsigned long h = 1;
	long wrong = 0;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every_10_ms, NULL);
	for (long i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, work, (void *)i);
	CHECK("pipe", pipe(ends) == 0);
	for (int i = 0; i < 1000 || alarms < 3; i++) {
		char in = (char)i, out = 0;

		lost += write(ends[1], &in, 1) != 1 || read(ends[0], &out, 1) != 1 || in != out;
		if (i < 1000)
			h = scramble(h, STEPS);
	}
	CHECK("a byte is neither lost nor changed while signals come", lost == 0);
	CHECK("integer registers survive interrupts", h == scramble(1, 1000 * STEPS));
	for (int i = 0; i < WORKERS; i++) {
		void *result;

		pthread_join(workers[i], &result);
		wrong += (long)result;
	}
	CHECK("pages, stacks and floating-point registers of threads are their own", wrong == 0);
	CHECK("a deep recursion gets its pages", deep(DEPTH) == DEPTH + 1);
	CHECK("every fault is told with its address", faults_caught() == 20);
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK("handlers have a stack and floating point of their own", alarms_wrong == 0 && alarms_sum == alarms * 1.5);
	CHECK_END();
}
