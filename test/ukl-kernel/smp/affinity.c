/*
 * On which processor a thread runs: it can choose, and is told. With an argument the process crashes at the end: on
 * the last processor, while threads compute on the others.
 */
#define _GNU_SOURCE
#include "../programs/check.h"
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

static cpu_set_t all;

static int move_to(int processor)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	return sched_setaffinity(0, sizeof one, &one);
}

/* From each processor to the next, several times; also while others do the same. */
static void *move_around(void *argument)
{
	long wrong = 0;

	for (int round = 0; round < 5; round++)
		for (int processor = 0; processor < CPU_SETSIZE; processor++)
			if (CPU_ISSET(processor, &all))
				wrong += move_to(processor) != 0 || sched_getcpu() != processor;
	return (void *)(wrong + (argument != NULL));
}

static void *compute(void *argument)
{
	for (volatile long i = 0;; i++)
		;
	return argument;
}

static void *crash(void *argument)
{
	int last = 0;

	for (int processor = 0; processor < CPU_SETSIZE; processor++)
		if (CPU_ISSET(processor, &all))
			last = processor;
	move_to(last);
	printf("crash on processor %d\n", sched_getcpu());
	fflush(stdout);
	*(volatile int *)0x5555deadbeefUL = 1;
	return argument;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];
	long wrong = 0;
	cpu_set_t none;
	void *result;

	(void)argv;
	CPU_ZERO(&none);
	CHECK("which processors there are", sched_getaffinity(0, sizeof all, &all) == 0 && CPU_COUNT(&all) > 0);
	CHECK("as many as the C library counts", CPU_COUNT(&all) == sysconf(_SC_NPROCESSORS_ONLN));
	CHECK("a thread moves from processor to processor", move_around(NULL) == NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, move_around, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		wrong += (long)result;
	}
	CHECK("and so do several", wrong == 0);
	CHECK("it has to run somewhere", sched_setaffinity(0, sizeof none, &none) == -1 && errno == EINVAL);
	CHECK("of a thread that is not there", sched_getaffinity(99999999, sizeof all, &none) == -1 && errno == ESRCH);
	if (argc > 1) {
		sched_setaffinity(0, sizeof all, &all);
		for (int i = 0; i < 3; i++)
			pthread_create(&threads[i], NULL, compute, NULL);
		pthread_create(&threads[3], NULL, crash, NULL);
		compute(NULL);
	}
	CHECK_END();
}
