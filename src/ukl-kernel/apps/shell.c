/*
 * /init of the shell image: runs busybox's shell on the console, or the script /script if there is one, and
 * ends with its status.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	char *environment[] = { "PATH=/bin", "HOME=/", "TERM=vt100", "PS1=# ", NULL };
	char *script[] = { "sh", "/script", NULL };
	char *interactive[] = { "sh", NULL };
	char **arguments = access("/script", R_OK) == 0 ? script : interactive;
	int status, error;
	pid_t child;

	error = posix_spawn(&child, "/bin/busybox", NULL, NULL, arguments, environment);
	if (error != 0) {
		printf("shell: /bin/busybox cannot be started: %s\n", strerror(error));
		return 1;
	}
	/* Process 1 inherits all orphans. */
	for (;;) {
		pid_t gone = wait(&status);

		if (gone == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (gone < 0 && errno != EINTR)
			return 1;
	}
}
