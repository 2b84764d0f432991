/* Exercise 4: a mistake that everyone has made. */
#include <stddef.h>
#include <stdio.h>

static __attribute__((noipa)) void store(int *place)
{
	*place = 1;
}

int main(void)
{
	printf("Before.\n");
	fflush(stdout);
	store(NULL);
	printf("After.\n");
	return 0;
}
