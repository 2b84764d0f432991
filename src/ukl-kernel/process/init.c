/* Process 1: the linked application, or the program named by init= on the command line, else /init. */
#include "file.h"
#include "process.h"

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

/* Words after `--` are arguments of process 1; before it, `init=PATH` is for us, NAME=VALUE for the environment. */
static void first_strings(struct program_strings *strings, char *path, size_t path_size)
{
	const char *line = first_command_line, *arguments = NULL;
	char word[256];

	while (!arguments && next_word(&line, word, sizeof word)) {
		if (strcmp(word, "--") == 0)
			arguments = line;
		else if (strncmp(word, "init=", 5) == 0)
			strlcpy(path, word + 5, path_size);
	}
	strings_add(strings, LINKED_APPLICATION ? "init" : path);
	strings->argc = 1;
	while (arguments && next_word(&arguments, word, sizeof word)) {
		strings_add(strings, word);
		strings->argc++;
	}
	strings_add(strings, "HOME=/");
	strings_add(strings, "PATH=/bin:/sbin:/usr/bin:/usr/sbin");
	strings_add(strings, "TERM=vt102");
	strings->envc = 3;
}

#if LINKED_APPLICATION
NORETURN static void start_linked(struct program_strings *strings)
{
	struct process *process = current_process();
	struct elf_program program;
	struct registers registers;
	long rsp;

	linked_program(&program);
	rsp = program_space(process->space, &program);
	if (rsp == 0)
		rsp = program_stack(strings, &program, "init");
	if (rsp < 0)
		panic(NULL, "no memory for the application's stack");
	strings_free(strings);
	registers_init(&registers, true, program.entry, rsp);
	thread_restart(&registers);
}
#endif

/* Process 1's thread begins here, in the kernel, and leaves for the application. */
NORETURN static void first_program(void)
{
	struct program_strings strings = {};
	char path[256] = "/init";

	first_strings(&strings, path, sizeof path);
#if LINKED_APPLICATION
	start_linked(&strings);
#else
	panic(NULL, "cannot run %s: error %ld", path, -program_execute(path, &strings));
#endif
}

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
	process->actions = kmalloc(sizeof *process->actions);
	process->directory = root_directory();
	if (!process->space || !process->files || !process->actions || console_open(process->files) < 0)
		panic(NULL, "no memory for process 1");
	process->actions->references = 1;
	strlcpy(process->name, "init", sizeof process->name);
	/* As after a CALL, below the frame with which it is started. */
	registers_init(&registers, true, (u64)first_program, thread->kernel_stack_top - 1024 - 8);
	thread_prepare(thread, &registers);
	thread_ready(thread);
}
