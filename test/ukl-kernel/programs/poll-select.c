/* Waiting for files: several at once, for a time, until a signal. */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include "check-calls.h"

static volatile int alarms;
static void on_alarm(int signal) { (void)signal; alarms++; }

static long elapsed_ms(const struct timespec *from)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - from->tv_sec) * 1000 + (now.tv_nsec - from->tv_nsec) / 1000000;
}

int main(void)
{
	int a[2], b[2];
	struct timespec start, short_time = { 0, 30000000 };
	char c;

	pipe(a);
	pipe(b);
	/* A number in use by nobody, whatever this process inherited; and small: Linux's select leaves out what is past
	 * the table of open files, whose size is inherited too. */
	int closed = dup(a[0]);
	close(closed);
	struct pollfd p[4] = { { a[0], POLLIN, 0 }, { b[0], POLLIN, 0 }, { -1, POLLIN, 7 }, { closed, POLLIN, 0 } };
	IS(poll(p, 2, 0), 0);
	IS(poll(p, 4, 0), 1);
	IS(p[2].revents, 0);
	IS(p[3].revents, POLLNVAL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	IS(poll(p, 2, 50), 0);
	IS(elapsed_ms(&start) >= 50 && elapsed_ms(&start) < 1000, 1);
	IS(write(b[1], "x", 1), 1);
	IS(poll(p, 2, -1), 1);
	IS(p[0].revents, 0);
	IS(p[1].revents, POLLIN);
	IS(poll(NULL, 0, 1), 0);
	FAILS(poll((void *)8, 1, 0), EFAULT);

	fd_set in, out;
	FD_ZERO(&in);
	FD_SET(a[0], &in);
	FD_SET(b[0], &in);
	FD_ZERO(&out);
	FD_SET(a[1], &out);
	struct timeval tv = { 1, 0 };
	IS(select(b[1] + 1, &in, &out, NULL, &tv), 2);
	IS(FD_ISSET(a[0], &in), 0);
	IS(FD_ISSET(b[0], &in) != 0, 1);
	IS(FD_ISSET(a[1], &out) != 0, 1);
	IS(read(b[0], &c, 1), 1);
	FD_ZERO(&in);
	FD_SET(a[0], &in);
	tv.tv_sec = 0;
	tv.tv_usec = 20000;
	IS(select(a[0] + 1, &in, NULL, NULL, &tv), 0);
	IS(FD_ISSET(a[0], &in), 0);
	FD_SET(closed, &in);
	FAILS(select(closed + 1, &in, NULL, NULL, &tv), EBADF);
	FAILS(select(-1, &in, NULL, NULL, &tv), EINVAL);
	IS(pselect(0, NULL, NULL, NULL, &short_time, NULL), 0);

	/* A handler ends the wait, even one with SA_RESTART. */
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &action, NULL);
	struct itimerval timer = { { 0, 0 }, { 0, 30000 } };
	setitimer(ITIMER_REAL, &timer, NULL);
	FAILS(poll(p, 1, -1), EINTR);
	IS(alarms, 1);

	/* ppoll lets a blocked signal through while it waits, and only then. */
	sigset_t block, none;
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGALRM);
	IS(alarms, 1);
	FAILS(ppoll(p, 1, NULL, &none), EINTR);
	IS(alarms, 2);
	raise(SIGALRM);
	IS(alarms, 2);
	FAILS(pselect(0, NULL, NULL, NULL, NULL, &none), EINTR);
	IS(alarms, 3);
	IS(ppoll(p, 1, &short_time, &none), 0);
	return check_end();
}
