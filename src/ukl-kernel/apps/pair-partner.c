/* The other half of pair.c: answers questions on its standard input until that ends. Always at ring 3. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	char question[128], answer[128];
	unsigned short cs;
	ssize_t length;

	while ((length = read(0, question, sizeof question - 1)) > 0) {
		question[length] = 0;
		if (strcmp(question, "which ring") == 0) {
			__asm__ volatile("mov %%cs, %0" : "=r"(cs));
			snprintf(answer, sizeof answer, "ring %d", cs & 3);
		} else if (strncmp(question, "reverse ", 8) == 0) {
			size_t size = strlen(question + 8);

			for (size_t i = 0; i < size; i++)
				answer[i] = question[8 + size - 1 - i];
			answer[size] = 0;
		} else {
			strcpy(answer, "what?");
		}
		write(1, answer, strlen(answer));
	}
	return 7;
}
