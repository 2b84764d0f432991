/* Pipes between processes: a megabyte through 64 KiB, whole lines of several writers, SIGPIPE's death. */
#include <signal.h>
#include <sys/wait.h>
#include "check-calls.h"

static unsigned char block[10007];

static int status_of(pid_t child)
{
	int status = -1;
	waitpid(child, &status, 0);
	return status;
}

static void much(void)
{
	int p[2];
	unsigned total = 0, length = 0;
	pipe(p);
	pid_t child = fork();
	if (!child) {
		close(p[0]);
		for (int i = 0; i < 100; i++) {
			for (unsigned j = 0; j < sizeof(block); j++)
				block[j] = i * j + j;
			if (write(p[1], block, sizeof(block)) != sizeof(block))
				_exit(1);
		}
		_exit(0);
	}
	close(p[1]);
	for (ssize_t n; (n = read(p[0], block, 3001)) > 0; length += n)
		for (ssize_t i = 0; i < n; i++)
			total = total * 31 + block[i];
	printf("%u bytes, sum %u\n", length, total);
	IS(status_of(child), 0);
	close(p[0]);
}

static void lines(void)
{
	int p[2], good = 0;
	char line[66];
	pipe(p);
	for (int w = 0; w < 4; w++) {
		if (fork())
			continue;
		memset(line, 'a' + w, 63);
		line[63] = '\n';
		for (int i = 0; i < 500; i++)
			write(p[1], line, 64);
		_exit(0);
	}
	close(p[1]);
	FILE *in = fdopen(p[0], "r");
	while (fgets(line, sizeof(line), in) && strlen(line) == 64 && strspn(line, (char[]){ line[0], 0 }) == 63)
		good++;
	IS(good, 2000);
	fclose(in);
	while (wait(NULL) > 0)
		;
}

static void broken(void)
{
	int p[2];
	pipe(p);
	pid_t child = fork();
	if (!child) {
		close(p[0]);
		for (;;)
			write(p[1], block, sizeof(block));
	}
	close(p[1]);
	read(p[0], block, 1);
	close(p[0]);
	int status = status_of(child);
	IS(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, 1);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	much();
	lines();
	broken();
	return check_end();
}
