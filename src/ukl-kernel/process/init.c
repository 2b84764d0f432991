/* Process 1: the linked application, or the program named by init= on the command line, else /init. */
#include "file.h"
#include "process.h"

enum { WORD_MAX = 256 };

static const char *first_command_line;

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n'; }

/* Copies the next word; false at the end of the line. */
static bool next_word(const char **line, char *word, size_t size)
{
	size_t length = 0;

	while (is_space(**line))
		++*line;
	if (!**line)
		return false;
	for (; **line && !is_space(**line); ++*line)
		if (length < size - 1)
			word[length++] = **line;
	word[length] = 0;
	return true;
}

/* argv[0] is there already, and what a script needs. What follows `--` on the command line are arguments too. */
static void first_strings(struct program_strings *strings)
{
	static const char *const environment[] = { "HOME=/", "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "TERM=vt102" };
	const char *line = first_command_line;
	bool arguments = false;
	char word[WORD_MAX];

	while (next_word(&line, word, sizeof word)) {
		if (arguments)
			strings_add(strings, word, &strings->argc);
		arguments = arguments || strcmp(word, "--") == 0;
	}
	for (u32 i = 0; i < ARRAY_SIZE(environment); i++)
		strings_add(strings, environment[i], &strings->envc);
}

/* Process 1's thread begins here, in the kernel, and leaves for the application. */
#if LINKED_APPLICATION
NORETURN static void first_program(void)
{
	struct process *process = current_process();
	struct program_strings strings = {};
	struct elf_program program;
	struct registers registers;
	long rsp;

	strings_add(&strings, "init", &strings.argc);
	first_strings(&strings);
	linked_program(&program);
	rsp = program_space(process->space, &program);
	if (rsp == 0)
		rsp = program_stack(&strings, &program, "init");
	if (rsp < 0)
		panic(NULL, "no memory for the application's stack");
	kfree(strings.text);
	registers_init(&registers, true, program.entry, rsp);
	thread_restart(&registers);
}
#else
/* Where a program is named by a file: init=PATH, else /init. */
static void first_path(char *path, size_t size)
{
	const char *line = first_command_line;
	char word[WORD_MAX];

	strlcpy(path, "/init", size);
	while (next_word(&line, word, sizeof word) && strcmp(word, "--") != 0)
		if (strncmp(word, "init=", 5) == 0)
			strlcpy(path, word + 5, size);
}

NORETURN static void first_program(void)
{
	struct program_strings strings = {};
	struct file *file;
	char path[WORD_MAX];
	long error;

	first_path(path, sizeof path);
	error = program_open(path, &strings, &file);
	if (error == 0) {
		if (strings.argc == 0)
			strings_add(&strings, path, &strings.argc);
		first_strings(&strings);
		error = program_execute(file, path, &strings);
	}
	panic(NULL, "cannot run %s: error %ld", path, -error);
}
#endif

void process_start_first(const char *command_line)
{
	struct process *process = process_create(NULL, pid_allocate());
	struct thread *thread = process ? thread_create(process, process->pid) : NULL;
	struct registers registers;

	first_command_line = command_line;
	if (!thread)
		panic(NULL, "no memory for process 1");
	process->ring0 = RING0_APPLICATION;
	process->space = space_create();
	process->files = files_create();
	process->directory = root_directory();
	if (!process->space || !process->files || console_open(process->files) < 0)
		panic(NULL, "no memory for process 1");
	strlcpy(process->name, "init", sizeof process->name);
	/* As after a CALL, below the frame with which it is started. */
	registers_init(&registers, true, (u64)first_program, thread->kernel_stack_top - 1024 - 8);
	thread_prepare(thread, &registers);
	thread_ready(thread);
}
