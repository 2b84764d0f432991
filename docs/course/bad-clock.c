/* Exercise 5: asks for the time, and gives no place to put it. */
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <time.h>

int main(void)
{
	struct timespec *nowhere = NULL;

	if (clock_gettime(CLOCK_MONOTONIC, nowhere) != 0)
		printf("The kernel says: %s.\n", strerror(errno));
	return 0;
}
