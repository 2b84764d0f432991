/* What a parent learns of its children by signals, and what the end of a process does to its threads. */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t calls, last_code, last_pid, last_status;

static void note(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	calls++;
	last_code = info->si_code;
	last_pid = info->si_pid;
	last_status = info->si_status;
}

static pid_t child_that(void (*what)(void))
{
	pid_t child = fork();

	if (child == 0) {
		what();
		_exit(0);
	}
	return child;
}

static int status_of(pid_t child)
{
	int status = -1;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void exit_3(void) { _exit(3); }
static volatile int *volatile nothing = (void *)16;
static int zero;
static void fall(void) { *nothing = 1; }
static void divide(void) { __asm__ volatile("cltd; idivl %0" : : "m"(zero) : "rax", "rdx", "cc"); }

static void signals(void)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	int status;
	pid_t child;

	sigaction(SIGCHLD, &action, NULL);
	child = child_that(exit_3);
	while (!calls)
		usleep(1000);
	CHECK("SIGCHLD tells who ended and how", last_pid == child && last_code == CLD_EXITED && last_status == 3);
	status_of(child);
	calls = 0;
	child = child_that(abort);
	while (!calls)
		usleep(1000);
	CHECK("and by which signal", last_pid == child && last_status == SIGABRT);
	status = status_of(child);
	CHECK("abort ends by SIGABRT", WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);

	signal(SIGCHLD, SIG_DFL);
}

static void faults(void)
{
	int status = status_of(child_that(fall));

	CHECK("a fault without a handler ends the process", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = status_of(child_that(divide));
	CHECK("so does a division by zero", WIFSIGNALED(status) && WTERMSIG(status) == SIGFPE);
}

static void *leave_process(void *unused)
{
	(void)unused;
	usleep(10000);
	exit(9);
}

static void exit_in_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, leave_process, NULL);
	for (;;)
		pause();
}

static void leave_to_threads(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, leave_process, NULL);
	pthread_exit(NULL);
}

int main(void)
{
	int status;

	signals();
	faults();
	status = status_of(child_that(exit_in_thread));
	CHECK("exit in a thread ends the process", WIFEXITED(status) && WEXITSTATUS(status) == 9);
	status = status_of(child_that(leave_to_threads));
	CHECK("a process lives as long as one of its threads", WIFEXITED(status) && WEXITSTATUS(status) == 9);
	CHECK_END();
}
