/* Exercise 1: makes two system calls and ends. */
#include <unistd.h>

static const char text[] = "Hello.\n";

int main(void)
{
	getppid();
	write(1, text, sizeof(text) - 1);
	return 0;
}
