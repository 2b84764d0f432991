/* Exercise 5: asks for its process identifier between two markers. */
#include <stdio.h>
#include <unistd.h>

__attribute__((noipa)) void before(void) {}
__attribute__((noipa)) void after(void) {}

int main(void)
{
	int pid = 0;

	for (int i = 0; i < 10; i++) {
		before();
		pid = getpid();
		after();
	}
	printf("I am process %d.\n", pid);
	return 0;
}
