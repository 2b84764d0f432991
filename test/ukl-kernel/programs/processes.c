/* fork, vfork, posix_spawn, wait4: who is whose child, and how it ended. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int data = 1;

static int status_of(pid_t child)
{
	int status = -1;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void copies(void)
{
	int stack = 1, status;
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *heap = malloc(100000);
	pid_t child;

	strcpy(heap + 90000, "parent");
	child = fork();
	if (child == 0) {
		data = stack = 2;
		strcpy(heap + 90000, "child");
		*shared = 7;
		_exit(data + stack);
	}
	status = status_of(child);
	CHECK("fork: the child's exit status arrives", WIFEXITED(status) && WEXITSTATUS(status) == 4);
	CHECK("fork: the parent keeps its data, stack and heap", data == 1 && stack == 1 && !strcmp(heap + 90000, "parent"));
	CHECK("fork: a shared mapping is shared", *shared == 7);
	free(heap);
}

static void ends(void)
{
	int status, pipe_ends[2];
	char byte;
	pid_t child = fork();

	if (child == 0)
		for (;;)
			pause();
	CHECK("WNOHANG: a living child gives 0", waitpid(child, &status, WNOHANG) == 0);
	kill(child, SIGTERM);
	status = status_of(child);
	CHECK("a signal's default action ends a process", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	CHECK("wait: no child is left", wait(&status) == -1 && errno == ECHILD);

	child = fork();
	if (child == 0)
		_exit(300);
	CHECK("an exit status has eight bits", WEXITSTATUS(status_of(child)) == 300 % 256);
	CHECK("kill: the process is gone", kill(child, 0) == -1 && errno == ESRCH);

	if (pipe(pipe_ends) < 0)
		exit(2);
	child = fork();
	if (child == 0) {
		pid_t parent = getpid();

		if (fork() == 0) {
			while (getppid() == parent)
				usleep(1000);
			byte = getppid() != parent;
			write(pipe_ends[1], &byte, 1);
			_exit(0);
		}
		_exit(0);
	}
	status_of(child);
	byte = 0;
	CHECK("an orphan gets another parent", read(pipe_ends[0], &byte, 1) == 1 && byte == 1);
	while (waitpid(-1, &status, WNOHANG) > 0)
		;
}

static int child_stack_function(void *argument) { return *(int *)argument + 1; }

static void spawns(void)
{
	extern char **environ;
	char *arguments[] = { "self", "spawned", "argument", NULL };
	static char stack[65536];
	int status, value = 20;
	pid_t child;

	CHECK("posix_spawn", posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0);
	status = status_of(child);
	CHECK("its status", WIFEXITED(status) && WEXITSTATUS(status) == 77);
	CHECK("posix_spawn reports execve's error", posix_spawn(&child, "/nowhere", NULL, NULL, arguments, environ) == ENOENT);

	child = vfork();
	if (child == 0) {
		data = 5;
		_exit(6);
	}
	CHECK("vfork: the child ran first, in our memory", data == 5 && WEXITSTATUS(status_of(child)) == 6);

	child = clone(child_stack_function, stack + sizeof stack, SIGCHLD, &value);
	CHECK("clone with a stack of its own", WEXITSTATUS(status_of(child)) == 21);
}

static void groups(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		int good = getpgrp() != getpid() && setpgid(0, 0) == 0 && getpgrp() == getpid();

		_exit(good ? 0 : 1);
	}
	CHECK("setpgid makes a group", status_of(child) == 0);
	child = fork();
	if (child == 0)
		_exit(setsid() == getpid() && getpgrp() == getpid() ? 0 : 1);
	CHECK("setsid makes a session", status_of(child) == 0);

	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		if (fork() == 0)
			for (;;)
				pause();
		for (;;)
			pause();
	}
	setpgid(child, child);
	usleep(20000);
	CHECK("kill of a group", kill(-child, SIGUSR1) == 0);
	status = status_of(child);
	CHECK("reaches its members", WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
	CHECK("waitpid of a group without children", waitpid(-30000, &status, 0) == -1 && errno == ECHILD);
}

int main(int argc, char **argv)
{
	int made = 0;

	if (argc == 3 && !strcmp(argv[1], "spawned"))
		return !strcmp(argv[2], "argument") ? 77 : 1;
	copies();
	ends();
	spawns();
	groups();
	for (int i = 0; i < 50; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(i);
		made += child > 0 && WEXITSTATUS(status_of(child)) == i;
	}
	CHECK("fifty children one after the other", made == 50);
	CHECK_END();
}
