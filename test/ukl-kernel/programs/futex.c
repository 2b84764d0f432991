/* The futex call itself. */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* include/uapi/linux/futex.h, which the C library's headers do not have. */
enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3, FUTEX_WAIT_BITSET = 9, FUTEX_PRIVATE_FLAG = 128 };

static uint32_t first, second;
static volatile int waiting, woken;

static long futex(uint32_t *word, int operation, uint32_t value, const void *fourth, uint32_t *other, uint32_t sixth)
{
	return syscall(SYS_futex, word, operation, value, fourth, other, sixth);
}

static void *wait_on_first(void *unused)
{
	(void)unused;
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	if (futex(&first, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0) == 0)
		__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void settle(void)
{
	for (int i = 0; i < 5; i++)
		usleep(10000);
}

static void start(pthread_t *threads, int count)
{
	waiting = woken = 0;
	for (int i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, wait_on_first, NULL);
	while (waiting < count)
		usleep(1000);
	settle();
}

static void join(pthread_t *threads, int count)
{
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	pthread_t threads[4];
	struct timespec short_time = { 0, 20000000 }, bad = { 0, -1 }, deadline;

	CHECK("WAIT: another value", futex(&first, FUTEX_WAIT, 1, NULL, NULL, 0) == -1 && errno == EAGAIN);
	CHECK("WAIT: timeout", futex(&first, FUTEX_WAIT, 0, &short_time, NULL, 0) == -1 && errno == ETIMEDOUT);
	CHECK("WAIT: invalid time", futex(&first, FUTEX_WAIT, 0, &bad, NULL, 0) == -1 && errno == EINVAL);
	CHECK("WAIT: bad address", futex((uint32_t *)4096, FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno == EFAULT);
	CHECK("WAIT: misaligned", futex((uint32_t *)((char *)&first + 1), FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno == EINVAL);
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	CHECK("WAIT_BITSET: absolute time in the past",
	      futex(&first, FUTEX_WAIT_BITSET, 0, &deadline, NULL, ~0U) == -1 && errno == ETIMEDOUT);
	CHECK("WAKE: nobody", futex(&first, FUTEX_WAKE, 10, NULL, NULL, 0) == 0);

	start(threads, 4);
	CHECK("WAKE: two of four", futex(&first, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 2, NULL, NULL, 0) == 2);
	settle();
	CHECK("two woke", woken == 2);
	CHECK("WAKE: the rest", futex(&first, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0) == 2);
	join(threads, 4);

	start(threads, 4);
	CHECK("REQUEUE: one wakes, three may move",
	      futex(&first, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 1, (void *)3L, &second, 0) == 4);
	settle();
	CHECK("nobody is left at the first", woken >= 1 && futex(&first, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0) == 0);
	futex(&second, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, NULL, NULL, 0);
	join(threads, 4);
	CHECK("all four woke", woken == 4);
	CHECK_END();
}
