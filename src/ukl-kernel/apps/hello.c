/* Says where it runs. The source is the same in every link mode. */
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The current privilege level is in the low two bits of CS (SDM vol. 3A 5.5). */
static int ring(void)
{
	unsigned short cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

int main(void)
{
	struct utsname name;

	printf("Hello from ring %d: this is process %d.\n", ring(), (int)getpid());
	if (uname(&name) == 0)
		printf("The kernel calls itself %s on %s.\n", name.sysname, name.machine);
	return 0;
}
