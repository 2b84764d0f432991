/* Signals: handlers and what they are told, masks, interrupted calls, alternate stacks, timers. */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t calls, last_code, depth, deepest;
static volatile long last_address;
static volatile int last_pid;
static sigjmp_buf back;

static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	sigaction(signal, &action, NULL);
}

static void note(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	calls++;
	last_code = info->si_code;
	last_pid = info->si_pid;
}

static void fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	last_code = info->si_code;
	last_address = (long)info->si_addr;
	siglongjmp(back, signal);
}

static __attribute__((noinline)) int recurse(int n)
{
	volatile char space[4096];

	space[0] = n;
	return n < 0 ? 0 : recurse(n + 1) + space[0];
}

static void faults(void)
{
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack }, before;
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int zero = 0;
	volatile int *volatile nothing = (void *)0x10;
	int got;

	handle(SIGSEGV, fault, 0);
	handle(SIGFPE, fault, 0);
	handle(SIGILL, fault, 0);
	if (!(got = sigsetjmp(back, 1)))
		*nothing = 1;
	CHECK("SIGSEGV: nothing mapped there", got == SIGSEGV && last_code == SEGV_MAPERR && last_address == 0x10);
	if (!(got = sigsetjmp(back, 1)))
		*(volatile char *)(page + 100) = 1;
	CHECK("SIGSEGV: access not allowed", got == SIGSEGV && last_code == SEGV_ACCERR && last_address == (long)page + 100);
	if (!(got = sigsetjmp(back, 1)))
		__asm__ volatile("cltd; idivl %0" : : "m"(zero) : "rax", "rdx", "cc");
	CHECK("SIGFPE: integer division by zero", got == SIGFPE && last_code == FPE_INTDIV);
	if (!(got = sigsetjmp(back, 1)))
		__asm__ volatile("ud2");
	CHECK("SIGILL: invalid opcode", got == SIGILL);

	CHECK("sigaltstack", sigaltstack(&alternate, NULL) == 0);
	handle(SIGSEGV, fault, SA_ONSTACK);
	if (!(got = sigsetjmp(back, 1)))
		recurse(0);
	CHECK("a stack overflow is handled on the alternate stack", got == SIGSEGV);
	CHECK("which is free again", sigaltstack(NULL, &before) == 0 && before.ss_flags == 0 && before.ss_sp == stack);
	alternate.ss_flags = SS_DISABLE;
	sigaltstack(&alternate, NULL);
	signal(SIGSEGV, SIG_DFL);
}

/* Changes the interrupted program's registers. */
static void skip_instruction(int signal, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;

	(void)signal;
	(void)info;
	interrupted->uc_mcontext.gregs[REG_RIP] += 2;
	interrupted->uc_mcontext.gregs[REG_RBX] = 1234;
}

static void contexts(void)
{
	long rbx = 0;
	double x = 1.5;
	unsigned char red_zone_kept;

	handle(SIGILL, skip_instruction, 0);
	__asm__ volatile("ud2" : "+b"(rbx));
	CHECK("a handler may change the registers that come back", rbx == 1234);
	__asm__ volatile("movq $77, -8(%%rsp); movq $88, -120(%%rsp); ud2\n\t"
			 "cmpq $77, -8(%%rsp); sete %0; cmpq $88, -120(%%rsp); sete %%al; andb %%al, %0"
			 : "=r"(red_zone_kept), "+b"(rbx) : : "rax", "memory", "cc");
	CHECK("the red zone survives a handler", red_zone_kept);
	for (int i = 0; i < 3; i++) {
		x *= 2;
		raise(SIGILL + 0 * i == SIGILL ? SIGUSR2 : 0);
	}
	CHECK("floating point survives a handler", x == 12.0);
}

static void with_floats(int signal, siginfo_t *info, void *context)
{
	volatile double y = 3.25;

	(void)signal;
	(void)info;
	(void)context;
	for (int i = 0; i < 10; i++)
		y = y * 1.01;
}

static void nest(int signal, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (calls++ < 2)
		raise(signal);
	depth--;
}

static void masks(void)
{
	sigset_t set, old;

	handle(SIGUSR1, note, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	calls = 0;
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK("a blocked signal stays pending", calls == 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK("and comes once", calls == 1 && last_code == SI_TKILL && last_pid == getpid());

	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	sigsuspend(&old);
	CHECK("sigsuspend lets it through and blocks it again", calls == 2 && last_code == SI_USER &&
		sigprocmask(SIG_BLOCK, NULL, &old) == 0 && sigismember(&old, SIGUSR1));

	sigprocmask(SIG_UNBLOCK, &set, NULL);

	deepest = calls = 0;
	handle(SIGUSR1, nest, 0);
	raise(SIGUSR1);
	CHECK("a handler's own signal is blocked", deepest == 1 && calls == 3);
	deepest = calls = 0;
	handle(SIGUSR1, nest, SA_NODEFER);
	raise(SIGUSR1);
	CHECK("but not with SA_NODEFER", deepest == 3 && calls == 3);
	handle(SIGUSR1, note, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction now;
	sigaction(SIGUSR1, NULL, &now);
	CHECK("SA_RESETHAND", now.sa_handler == SIG_DFL);
}

static void *write_later(void *to)
{
	sigset_t alarms;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarms, NULL);
	usleep(100000);
	write(*(int *)to, "x", 1);
	return NULL;
}

static void interrupted_calls(void)
{
	pthread_t writer;
	struct itimerval soon = { .it_value = { 0, 30000 } }, often = { { 0, 10000 }, { 0, 10000 } }, none = {}, left;
	struct timespec sleep_time = { 5, 0 }, remaining = {};
	int ends[2];
	char byte;
	ssize_t got;

	if (pipe(ends) < 0)
		exit(2);
	calls = 0;
	handle(SIGALRM, note, 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	got = read(ends[0], &byte, 1);
	CHECK("a signal interrupts read", got == -1 && errno == EINTR && calls == 1 && last_code == SI_KERNEL);

	handle(SIGALRM, note, SA_RESTART);
	setitimer(ITIMER_REAL, &soon, NULL);
	pthread_create(&writer, NULL, write_later, &ends[1]);
	got = read(ends[0], &byte, 1);
	CHECK("with SA_RESTART read goes on", got == 1 && byte == 'x' && calls == 2);
	pthread_join(writer, NULL);

	setitimer(ITIMER_REAL, &soon, NULL);
	got = nanosleep(&sleep_time, &remaining);
	CHECK("nanosleep ends early and tells what is left", got == -1 && errno == EINTR && remaining.tv_sec == 4);

	calls = 0;
	setitimer(ITIMER_REAL, &often, NULL);
	while (calls < 5)
		pause();
	setitimer(ITIMER_REAL, &none, &left);
	CHECK("an interval timer repeats", left.it_interval.tv_usec == 10000);
	calls = 0;
	setitimer(ITIMER_REAL, &soon, NULL);
	while (!calls)
		;
	CHECK("a signal comes to a loop without calls", calls == 1);
	CHECK("alarm tells what was left", alarm(100) == 0 && alarm(0) == 100);
	signal(SIGPIPE, SIG_IGN);
	close(ends[0]);
	CHECK("a write to a closed pipe gives EPIPE", write(ends[1], "x", 1) == -1 && errno == EPIPE);
}

int main(void)
{
	handle(SIGUSR2, with_floats, 0);
	faults();
	contexts();
	masks();
	interrupted_calls();
	CHECK_END();
}
