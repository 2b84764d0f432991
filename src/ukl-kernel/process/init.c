/* Process 1: the linked application, or the program named by init= on the command line, else /init. */
#include "file.h"
#include "network.h"
#include "process.h"

enum { WORD_MAX = 256 };

static const char *first_command_line;

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n'; }

/* Copies the next word; false at the end of the line. */
static bool next_word(const char **line, char *word)
{
	size_t length = 0;
	while (is_space(**line))
		++*line;
	for (; **line && !is_space(**line); ++*line)
		if (length < WORD_MAX - 1)
			word[length++] = **line;
	word[length] = 0;
	return length > 0;
}

/* Words after `--` are arguments of process 1; before it, `init=PATH` is for us, the rest for nobody. */
static long first_strings(struct program_strings *strings, char *path, struct file **file)
{
	static const char *const environment[] = { "HOME=/", "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "TERM=vt102" };
	const char *line = first_command_line;
	char word[WORD_MAX];
	while (next_word(&line, word) && strcmp(word, "--") != 0) {
		if (strncmp(word, "init=", 5) == 0 && !LINKED_APPLICATION)
			strlcpy(path, word + 5, WORD_MAX);
		if (CONFIG_DISK && strncmp(word, "mount=", 6) == 0)
			mount_option(word + 6);
	}
	long error = LINKED_APPLICATION ? 0 : program_open(path, strings, file);
	if (error == 0 && strings->argc == 0)		/* not a script */
		error = strings_add(strings, path, &strings->argc);
	while (error == 0 && next_word(&line, word))
		error = strings_add(strings, word, &strings->argc);
	for (u32 i = 0; error == 0 && i < ARRAY_SIZE(environment); i++)
		error = strings_add(strings, environment[i], &strings->envc);
	return error;
}

/* Process 1's thread begins here, in the kernel, and leaves for the application. */
NORETURN static void first_program(void)
{
	struct program_strings strings = {};
	struct file *file = NULL;
	char path[WORD_MAX];
	kernel_enter();
	if (CONFIG_NET)
		network_wait_configured();
	strlcpy(path, LINKED_APPLICATION ? "init" : "/init", sizeof path);
	long error = first_strings(&strings, path, &file);
	if (error == 0)
		error = program_execute(file, path, &strings);
	panic(NULL, "cannot run %s: error %ld", path, -error);
}

void process_start_first(const char *command_line)
{
	struct process *process = process_create(NULL, pid_allocate());
	struct thread *thread = process ? thread_create(process, process->pid) : NULL;
	first_process = process;
	first_command_line = command_line;
	if (!thread || !(process->space = space_create()) || !(process->files = kmalloc(sizeof(struct files))) ||
	    console_open(process->files) < 0)
		panic(NULL, "no memory for process 1");
	process->ring0 = RING0_APPLICATION;
	process->directory = root_directory();
	process->group = process->pid;
	process->umask = 022;
	/* As after a CALL, below the frame with which it is started. */
	struct registers registers;
	registers_init(&registers, true, (u64)first_program, thread->kernel_stack_top - 1024 - 8);
	thread_prepare(thread, &registers);
	thread_ready(thread);
}
