/* Exercise 4: reads a register that only ring 0 may read. */
#include <stdio.h>

int main(void)
{
	unsigned long cr3;

	printf("Reading CR3.\n");
	fflush(stdout);
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	printf("The page tables begin at physical address %#lx.\n", cr3);
	return 0;
}
