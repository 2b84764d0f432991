/* Exercise 4: says in which ring it runs, and makes a system call. The source is the same in every link mode. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	unsigned short cs;

	/* The low two bits of CS are the current privilege level. */
	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	printf("I run in ring %d, and main() is at %p.\n", cs & 3, (void *)main);
	getppid();
	return 0;
}
