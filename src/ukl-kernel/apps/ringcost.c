/*
 * What a system call costs: each call stands between measure_begin() and measure_end(), in the same way in every
 * link mode. `ukl-emu measure` finds the two functions by their symbols and counts what happens between the
 * return of the first and the first instruction of the second. The program also reads the time-stamp counter
 * there and prints nanoseconds, so that the image tells something under any machine.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "ukl.h"

enum {
	WARM_UP = 2,		/* rounds that are not reported: caches, TLBs and page tables fill */
	ROUNDS = 8,
	PAGE = 4096,
	LARGEST = 8192,		/* bytes of the largest payload */
	ROWS_MAX = 64,
};

typedef unsigned long u64;

static inline u64 time_stamp(void)
{
	unsigned low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

/* ---- The markers. Their own instructions lie outside of what is measured. ---- */

static volatile u64 begin_stamp;
static volatile u64 elapsed;		/* TSC ticks of the last round */

/* `call` is empty in warm-up rounds. */
__attribute__((noipa)) void measure_begin(const char *call, u64 payload)
{
	__asm__ volatile("" : : "r"(call), "r"(payload));
	begin_stamp = time_stamp();
}

__attribute__((noipa)) void measure_end(void)
{
	elapsed = time_stamp() - begin_stamp;
}

/* ---- What is measured. Each function is one round. ---- */

/* Ends a region. The empty statement keeps the call from becoming a jump behind the function's epilogue. */
#define END()                                  \
	do {                                   \
		measure_end();                 \
		__asm__ volatile("" : : : "memory"); \
	} while (0)

static const char *call_name;		/* what measure_begin is told */
static char *buffer;
static int zero, pipe_ends[2], sockets[2], there[2], back[2];

static void check(int ok, const char *what)
{
	if (ok)
		return;
	printf("ringcost: %s failed\n", what);
	exit(1);
}

static void empty(u64 payload)
{
	measure_begin(call_name, payload);
	END();
}

__attribute__((noipa)) static long function(void) { return 0; }

static void function_call(u64 payload)
{
	measure_begin(call_name, payload);
	function();
	END();
}

static void call_empty(u64 payload)
{
	measure_begin(call_name, payload);
	empty_call();
	END();
}

static void call_getppid(u64 payload)
{
	measure_begin(call_name, payload);
	getppid();
	END();
}

/* A call that moves `payload` bytes, all of them at once. */
#define TRANSFER(call)                                          \
	do {                                                    \
		measure_begin(call_name, payload);              \
		ssize_t bytes_ = (call);                        \
		END();                                  \
		check(bytes_ == (ssize_t)payload, #call);       \
	} while (0)

static void read_zero(u64 payload) { TRANSFER(read(zero, buffer, payload)); }
static void write_zero(u64 payload) { TRANSFER(write(zero, buffer, payload)); }

static void write_pipe(u64 payload)
{
	TRANSFER(write(pipe_ends[1], buffer, payload));
	check(read(pipe_ends[0], buffer, payload) == (ssize_t)payload, "read from the pipe");
}

static void read_pipe(u64 payload)
{
	check(write(pipe_ends[1], buffer, payload) == (ssize_t)payload, "write to the pipe");
	TRANSFER(read(pipe_ends[0], buffer, payload));
}

static void send_socket(u64 payload)
{
	TRANSFER(send(sockets[0], buffer, payload, 0));
	check(recv(sockets[1], buffer, payload, 0) == (ssize_t)payload, "recv");
}

static void receive_socket(u64 payload)
{
	check(send(sockets[0], buffer, payload, 0) == (ssize_t)payload, "send");
	TRANSFER(recv(sockets[1], buffer, payload, 0));
}

static char *fresh_heap;		/* pages nobody has touched */

static void fault_heap(u64 payload)
{
	volatile char *page = fresh_heap;

	fresh_heap += PAGE;
	measure_begin(call_name, payload);
	*page = 1;
	END();
}

static char *fresh_stack;		/* end of the lowest stack page in use */

/* The push is what a program does that runs into a new page of its stack. */
static void fault_stack(u64 payload)
{
	char *top = fresh_stack;
	u64 saved;

	fresh_stack -= PAGE;
	measure_begin(call_name, payload);
	__asm__ volatile("movq %%rsp, %0\n\tmovq %1, %%rsp\n\tpushq $0\n\tmovq %0, %%rsp"
			 : "=&r"(saved) : "r"(top) : "memory");
	END();
}

/* From one thread to another: this one writes to a pipe and waits, the other one's read returns. */
static void *answer(void *argument)
{
	char byte;

	(void)argument;
	while (read(there[0], &byte, 1) == 1) {
		END();
		if (byte == 'q' || write(back[1], &byte, 1) != 1)
			break;
	}
	return NULL;
}

static void switch_threads(u64 payload)
{
	char byte = 's';

	measure_begin(call_name, payload);
	check(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "switching threads");
}

static void *nothing(void *argument) { return argument; }

static void create_thread(u64 payload)
{
	pthread_t thread;

	measure_begin(call_name, payload);
	int failed = pthread_create(&thread, NULL, nothing, NULL);
	if (!failed)
		failed = pthread_join(thread, NULL);
	END();
	check(!failed, "making a thread");
}

static volatile sig_atomic_t signals;
static pid_t self;

static void count_signal(int signal) { signals += signal == SIGUSR1; }

static void deliver_signal(u64 payload)
{
	int before = signals;

	measure_begin(call_name, payload);
	kill(self, SIGUSR1);
	END();
	check(signals == before + 1, "a signal to itself");
}

/* ---- The list, and what is printed ---- */

#define SIZES(call, function) \
	{ call, 1, function }, { call, 256, function }, { call, 1024, function }, { call, 4096, function }, \
	{ call, LARGEST, function }

static const struct row {
	const char *call;
	u64 payload;		/* bytes */
	void (*round)(u64 payload);
} rows[] = {
	{ "nothing", 0, empty },
	{ "function", 0, function_call },
	{ "empty", 0, call_empty },
	{ "getppid", 0, call_getppid },
	SIZES("read", read_zero),
	SIZES("write", write_zero),
	{ "pipe-write", 1, write_pipe }, { "pipe-write", PAGE, write_pipe },
	{ "pipe-read", 1, read_pipe }, { "pipe-read", PAGE, read_pipe },
	SIZES("send", send_socket),
	SIZES("recv", receive_socket),
	{ "fault-heap", 0, fault_heap },
	{ "fault-stack", 0, fault_stack },
	{ "switch", 0, switch_threads },
	{ "thread", 0, create_thread },
	{ "signal", 0, deliver_signal },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static u64 ticks[ROWS][ROUNDS];

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

static u64 nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000UL + now.tv_nsec;
}

static void prepare(void)
{
	struct sigaction action;
	char here;

	buffer = mmap(NULL, LARGEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(buffer != MAP_FAILED, "mmap");
	memset(buffer, 'u', LARGEST);
	fresh_heap = mmap(NULL, (WARM_UP + ROUNDS) * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(fresh_heap != MAP_FAILED, "mmap");
	/* Below what this program's calls use of the stack. */
	fresh_stack = (char *)(((u64)&here & -(u64)PAGE) - 16 * PAGE);
	zero = open("/dev/zero", O_RDWR);
	check(zero >= 0, "opening /dev/zero");
	check(pipe(pipe_ends) == 0 && pipe(there) == 0 && pipe(back) == 0, "pipe");
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "socketpair");
	memset(&action, 0, sizeof(action));
	action.sa_handler = count_signal;
	check(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
	self = getpid();
}

int main(void)
{
	pthread_t other;
	u64 start_ticks, start, per_second;

	setvbuf(stdout, NULL, _IOLBF, 0);
	prepare();
	check(pthread_create(&other, NULL, answer, NULL) == 0, "making a thread");
	start = nanoseconds();
	start_ticks = time_stamp();
	for (int i = 0; i < ROWS; i++) {
		for (int round = -WARM_UP; round < ROUNDS; round++) {
			call_name = round < 0 ? "" : rows[i].call;
			rows[i].round(rows[i].payload);
			if (round >= 0)
				ticks[i][round] = elapsed;
		}
	}
	per_second = (double)(time_stamp() - start_ticks) / (nanoseconds() - start) * 1e9;
	check(write(there[1], "q", 1) == 1 && pthread_join(other, NULL) == 0, "ending a thread");

	printf("ringcost: %d calls, %d rounds each; ns by the time-stamp counter, less an empty pair of markers\n",
	       ROWS, ROUNDS);
	printf("%-12s %7s %9s %9s %9s\n", "call", "bytes", "median", "least", "most");
	for (int i = 0; i < ROWS; i++) {
		qsort(ticks[i], ROUNDS, sizeof(u64), compare);
		double nothing = i == 0 ? 0 : ticks[0][ROUNDS / 2];
		double scale = 1e9 / per_second;
		printf("%-12s %7lu %9.1f %9.1f %9.1f\n", rows[i].call, rows[i].payload,
		       (ticks[i][ROUNDS / 2] - nothing) * scale, (ticks[i][0] - nothing) * scale,
		       (ticks[i][ROUNDS - 1] - nothing) * scale);
	}
	printf("ringcost: done\n");
	return 0;
}
