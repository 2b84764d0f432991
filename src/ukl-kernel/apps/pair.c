/*
 * Two processes that talk: this one runs where the link mode puts it, at ring 0 in all modes but one. It starts
 * /ring3/pair-partner, an ordinary process, with its standard input and output at the ends of two pipes, asks
 * it questions and prints the answers; then the same over a socketpair.
 */
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARTNER "/ring3/pair-partner"

static int ring(void)
{
	unsigned short cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

/* Starts the partner; `input` and `output` become its descriptors 0 and 1. */
static pid_t start(int input, int output, int ours)
{
	posix_spawn_file_actions_t actions;
	char *arguments[] = { "pair-partner", NULL };
	pid_t child;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, 0);
	posix_spawn_file_actions_adddup2(&actions, output, 1);
	posix_spawn_file_actions_addclose(&actions, ours);
	error = posix_spawn(&child, PARTNER, &actions, NULL, arguments, NULL);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0) {
		printf("pair: %s cannot be started: %s\n", PARTNER, strerror(error));
		return -1;
	}
	return child;
}

static int ask(const char *by, int to, int from, const char *question)
{
	char answer[128];
	ssize_t length;

	if (write(to, question, strlen(question)) != (ssize_t)strlen(question))
		return 1;
	length = read(from, answer, sizeof answer - 1);
	if (length <= 0)
		return 1;
	answer[length] = 0;
	printf("ring %d asks by %s: %s? %s\n", ring(), by, question, answer);
	return 0;
}

static int converse(const char *by, pid_t child, int to, int from)
{
	int status;

	if (ask(by, to, from, "which ring") || ask(by, to, from, "reverse stressed"))
		return 1;
	close(to);
	if (from != to)
		close(from);
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return 1;
	printf("The partner ended with status %d.\n", WEXITSTATUS(status));
	return WEXITSTATUS(status) != 7;
}

int main(void)
{
	int there[2], back[2], ends[2];
	pid_t child;

	if (pipe(there) != 0 || pipe(back) != 0)
		return 1;
	child = start(there[0], back[1], there[1]);
	if (child < 0)
		return 1;
	close(there[0]);
	close(back[1]);
	if (converse("pipe", child, there[1], back[0]))
		return 1;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		return 1;
	child = start(ends[1], ends[1], ends[0]);
	if (child < 0)
		return 1;
	close(ends[1]);
	return converse("socket", child, ends[0], ends[0]);
}
