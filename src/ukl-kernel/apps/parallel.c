/*
 * What several processors are worth: counts the primes below a number with one thread and then with as many as there
 * are processors (or as the first argument says), which take the next piece when they are done with one.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BELOW = 200000, PIECE = 1000, THREADS_MAX = 16, EXPECTED = 17984 };

static atomic_int next_piece, primes;

static int is_prime(int n)
{
	if (n < 4)
		return n > 1;
	if (n % 2 == 0)
		return 0;
	for (int divisor = 3; divisor * divisor <= n; divisor += 2)
		if (n % divisor == 0)
			return 0;
	return 1;
}

static void *count(void *argument)
{
	int start, found = 0;

	while ((start = atomic_fetch_add(&next_piece, PIECE)) < BELOW)
		for (int n = start; n < start + PIECE; n++)
			found += is_prime(n);
	primes += found;
	return argument;
}

/* Milliseconds that `threads` need for it. */
static double measure(int threads)
{
	pthread_t others[THREADS_MAX];
	struct timespec from, to;

	next_piece = primes = 0;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 1; i < threads; i++)
		if (pthread_create(&others[i], NULL, count, NULL) != 0)
			exit(2);
	count(NULL);
	for (int i = 1; i < threads; i++)
		pthread_join(others[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%d thread%s: %d primes below %d\n", threads, threads == 1 ? "" : "s", primes, BELOW);
	return (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : (int)sysconf(_SC_NPROCESSORS_ONLN);

	if (threads < 1 || threads > THREADS_MAX) {
		printf("parallel: expected 1 to %d threads, found %d\n", THREADS_MAX, threads);
		return 2;
	}
	double alone = measure(1), together = measure(threads);
	printf("%.1f ms, %.1f ms: %.2f times as fast\n", alone, together, alone / together);
	return primes != EXPECTED;
}
