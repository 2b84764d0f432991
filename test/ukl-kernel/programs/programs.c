/* execve: what a program is told when it begins, and what cannot be executed. */
#define _GNU_SOURCE
#include "check.h"
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *path, char *const *arguments, char *const *environment)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execve(path, arguments, environment);
		_exit(100 + errno);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void file(const char *path, const char *text, int mode)
{
	int descriptor = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);

	if (descriptor < 0 || write(descriptor, text, strlen(text)) < 0 || close(descriptor) < 0 || chmod(path, mode) < 0)
		exit(2);
}

/* The child's side: reports by its status what it was given. */
static int child(int argc, char **argv, char **environment)
{
	if (!strcmp(argv[1], "arguments"))
		return argc == 4 && !strcmp(argv[2], "two words") && !*argv[3] && !strcmp(environment[0], "A=1") &&
		       !strcmp(environment[1], "B=") && !environment[2] ? 50 : 1;
	if (!strcmp(argv[1], "descriptors"))
		return fcntl(40, F_GETFD) == 0 && fcntl(41, F_GETFD) == -1 ? 51 : 1;
	if (!strcmp(argv[1], "signals")) {
		struct sigaction ignored, handled;

		sigaction(SIGUSR1, NULL, &ignored);
		sigaction(SIGUSR2, NULL, &handled);
		return ignored.sa_handler == SIG_IGN && handled.sa_handler == SIG_DFL ? 52 : 1;
	}
	if (!strcmp(argv[1], "many"))
		return argc == 1002 && strlen(argv[1001]) == 50 ? 53 : 1;
	/* A script: interpreter, its argument, the script, what followed. */
	return argc == 5 && !strcmp(argv[1], "an argument") && strstr(argv[2], "script") && !strcmp(argv[3], "x") &&
	       !strcmp(argv[4], "y") ? 54 : 1;
}

static void handler(int signal) { (void)signal; }

int main(int argc, char **argv, char **environment)
{
	char directory[] = "/tmp/programs.XXXXXX", path[64], script[256], self[128] = {};
	char *environment_of_child[] = { "A=1", "B=", NULL };
	char *many[1003] = { "self", "many" };
	Elf64_Phdr *headers = (void *)getauxval(AT_PHDR);

	if (argc > 1)
		return child(argc, argv, environment);
	mkdir("/tmp", 0777);
	if (!mkdtemp(directory) || readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		return 2;

	CHECK("AT_PAGESZ, AT_PHENT, AT_CLKTCK", getauxval(AT_PAGESZ) == 4096 && getauxval(AT_PHENT) == sizeof *headers &&
		getauxval(AT_CLKTCK) == 100);
	CHECK("AT_PHDR points to the program headers", headers && getauxval(AT_PHNUM) > 0 && headers[0].p_type != PT_NULL);
	CHECK("AT_RANDOM, AT_EXECFN", getauxval(AT_RANDOM) && getauxval(AT_EXECFN));
	CHECK("AT_UID, AT_SECURE", getauxval(AT_UID) == getuid() && getauxval(AT_SECURE) == 0);

	CHECK("arguments and environment",
	      run("/proc/self/exe", (char *[]){ "self", "arguments", "two words", "", NULL }, environment_of_child) == 50);
	dup2(1, 40);
	dup3(1, 41, O_CLOEXEC);
	CHECK("FD_CLOEXEC", run("/proc/self/exe", (char *[]){ "self", "descriptors", NULL }, NULL) == 51);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, handler);
	CHECK("handlers go, ignored signals stay", run("/proc/self/exe", (char *[]){ "self", "signals", NULL }, NULL) == 52);
	for (int i = 2; i < 1002; i++)
		many[i] = "12345678901234567890123456789012345678901234567890";
	CHECK("a thousand arguments", run("/proc/self/exe", many, NULL) == 53);

	snprintf(path, sizeof path, "%s/script", directory);
	snprintf(script, sizeof script, "#! %s  an argument \nnot read\n", self);
	file(path, script, 0755);
	CHECK("#! with an argument", run(path, (char *[]){ "given", "x", "y", NULL }, NULL) == 54);
	file(path, "#!/nowhere\n", 0755);
	CHECK("#! of a missing interpreter", run(path, (char *[]){ "s", NULL }, NULL) == 100 + ENOENT);
	file(path, script, 0644);
	CHECK("not executable", run(path, (char *[]){ "s", NULL }, NULL) == 100 + EACCES);
	file(path, "neither ELF nor script", 0755);
	CHECK("no known format", run(path, (char *[]){ "s", NULL }, NULL) == 100 + ENOEXEC);
	file(path, "", 0755);
	CHECK("an empty file", run(path, (char *[]){ "s", NULL }, NULL) == 100 + ENOEXEC);
	CHECK("a missing file", run("/nowhere", (char *[]){ "s", NULL }, NULL) == 100 + ENOENT);
	CHECK("a directory", run("/tmp", (char *[]){ "s", NULL }, NULL) == 100 + EACCES);
	CHECK("a bad pointer", run((char *)0x8000, (char *[]){ "s", NULL }, NULL) == 100 + EFAULT);
	unlink(path);
	rmdir(directory);
	CHECK_END();
}
