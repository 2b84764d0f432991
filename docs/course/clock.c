/* Exercise 5: reads the clock again and again, and prints the shortest time between two readings. */
#include <stdio.h>
#include <time.h>

enum { ROUNDS = 1000 };

static long nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000L + now.tv_nsec;
}

int main(void)
{
	long least = 1000000000, last = nanoseconds();

	for (int i = 0; i < ROUNDS; i++) {
		long now = nanoseconds();

		if (now - last < least)
			least = now - last;
		last = now;
	}
	printf("Reading the clock takes %ld ns.\n", least);
	return 0;
}
