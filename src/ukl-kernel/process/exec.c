/* execve: a new program in a new address space; and the first stack of a program. */
#include "file.h"
#include "process.h"

#define STACK_SIZE	(8UL << 20)
#define STACK_GAP	(1UL << 20)		/* never mapped, below the stack */
enum { STRING_MAX = 16384, STRINGS_MAX = 256 * 1024, SCRIPT_LINE = 256, SCRIPTS_NESTED = 4 };

/* Appends one string to the block of argv and envp. */
long strings_add(struct program_strings *strings, const char *s)
{
	u64 size = strlen(s) + 1;

	if (strings->used + size > STRINGS_MAX)
		return -E2BIG;
	if (strings->used + size > strings->capacity) {
		u64 capacity = MAX(strings->capacity * 2, ALIGN_UP(strings->used + size, PAGE_SIZE));
		char *text = kmalloc(capacity);

		if (!text)
			return -ENOMEM;
		memcpy(text, strings->text, strings->used);
		kfree(strings->text);
		strings->text = text;
		strings->capacity = capacity;
	}
	memcpy(strings->text + strings->used, s, size);
	strings->used += size;
	return 0;
}

void strings_free(struct program_strings *strings)
{
	kfree(strings->text);
	*strings = (struct program_strings){};
}

/* The application's NULL-terminated vector of strings; NULL is an empty one. */
static long strings_copy(struct program_strings *strings, const char *const *vector, u32 *count, char *buffer)
{
	const char *s;
	long result;

	for (; vector; vector++) {
		if (copy_from_user(&s, vector, sizeof s))
			return -EFAULT;
		if (!s)
			break;
		result = copy_string_from_user(buffer, s, STRING_MAX);
		if (result < 0)
			return result == -ENAMETOOLONG ? -E2BIG : result;
		result = strings_add(strings, buffer);
		if (result != 0)
			return result;
		(*count)++;
	}
	return 0;
}

/* Puts the interpreter, its argument and the script's path in place of argv[0]. */
static long strings_for_script(struct program_strings *strings, const char *interpreter, const char *argument,
			       const char *path)
{
	struct program_strings changed = { .argc = strings->argc + 1, .envc = strings->envc };
	u64 skip = strings->argc > 0 ? strlen(strings->text) + 1 : 0;
	long result = strings_add(&changed, interpreter);

	if (strings->argc == 0)
		changed.argc++;
	if (result == 0 && *argument) {
		result = strings_add(&changed, argument);
		changed.argc++;
	}
	if (result == 0)
		result = strings_add(&changed, path);
	for (u64 at = skip; result == 0 && at < strings->used; at += strlen(strings->text + at) + 1)
		result = strings_add(&changed, strings->text + at);
	if (result != 0) {
		strings_free(&changed);
		return result;
	}
	strings_free(strings);
	*strings = changed;
	return 0;
}

/* Splits `#! interpreter [argument]`: the rest of the line is one argument, as on Linux. */
static bool script_line(char *line, char **interpreter, char **argument)
{
	char *end = strchr(line, '\n');

	if (!end)
		return false;
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = 0;
	for (line += 2; *line == ' ' || *line == '\t'; line++)
		;
	*interpreter = line;
	while (*line && *line != ' ' && *line != '\t')
		line++;
	if (*line)
		*line++ = 0;
	while (*line == ' ' || *line == '\t')
		line++;
	*argument = line;
	return **interpreter != 0;
}

/* Opens an executable regular file. */
static long program_open(const char *path, struct file **result)
{
	long error = file_open(path, O_RDONLY, 0, result);

	if (error != 0)
		return error;
	if (S_ISREG((*result)->inode->mode) && ((*result)->inode->mode & 0111))
		return 0;
	file_unref(*result);
	return -EACCES;
}

/* The ELF file to load for `path`, after at most four scripts; `strings` then begins with their interpreters. */
static long program_find(const char *path, struct program_strings *strings, struct file **result)
{
	char line[SCRIPT_LINE + 1], script[SCRIPT_LINE + 1];

	for (int depth = 0; depth <= SCRIPTS_NESTED; depth++) {
		char *interpreter, *argument;
		ssize_t size;
		long error = program_open(path, result);

		if (error != 0)
			return error;
		memset(line, 0, sizeof line);
		size = (*result)->operations->read_kernel
			? (*result)->operations->read_kernel(*result, line, SCRIPT_LINE, 0) : -EACCES;
		if (size < 2 || line[0] != '#' || line[1] != '!') {
			error = size < 0 ? size : elf_check(*result, path);
			if (error != 0)
				file_unref(*result);
			return error;
		}
		file_unref(*result);
		if (!script_line(line, &interpreter, &argument))
			return -ENOEXEC;
		error = strings_for_script(strings, interpreter, argument, path);
		if (error != 0)
			return error;
		strlcpy(script, interpreter, sizeof script);
		path = script;
	}
	return -ELOOP;
}

/* CPUID.01H:EDX, what AT_HWCAP means on x86-64. */
static u32 processor_features(void)
{
	u32 a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d;
}

/*
 * The x86-64 psABI, 3.4.1, from the top: name of the program, strings, platform, 16 random bytes; then, where RSP
 * points, argc, argv, NULL, envp, NULL, the auxiliary vector.
 */
long program_stack(const struct program_strings *strings, const struct elf_program *program, const char *path)
{
	static const char platform[] = "x86_64";
	u64 path_at = USER_TOP - 8 - (strlen(path) + 1);
	u64 strings_at = path_at - strings->used;
	u64 platform_at = strings_at - sizeof platform;
	u64 random_at = ALIGN_DOWN(platform_at - 16, 16);
	u64 random[2];
	u64 auxiliary[][2] = {
		{ AT_HWCAP, processor_features() }, { AT_PAGESZ, PAGE_SIZE }, { AT_CLKTCK, 100 },
		{ AT_PHDR, program->headers }, { AT_PHENT, program->header_size }, { AT_PHNUM, program->header_count },
		{ AT_BASE, 0 }, { AT_FLAGS, 0 }, { AT_ENTRY, program->entry },
		{ AT_UID, 0 }, { AT_EUID, 0 }, { AT_GID, 0 }, { AT_EGID, 0 }, { AT_SECURE, 0 },
		{ AT_RANDOM, random_at }, { AT_EXECFN, path_at }, { AT_PLATFORM, platform_at },
		{ AT_MINSIGSTKSZ, MINSIGSTKSZ }, { AT_NULL, 0 },
	};
	u64 count = 1 + strings->argc + 1 + strings->envc + 1 + sizeof auxiliary / sizeof(u64);
	u64 rsp = ALIGN_DOWN(random_at - count * sizeof(u64), 16);
	u64 *words, *next, at = strings_at;
	long result;

	if (rsp < USER_TOP - STACK_SIZE / 2 || !(words = kmalloc(count * sizeof(u64))))
		return -E2BIG;
	next = words;
	*next++ = strings->argc;
	for (u32 i = 0; i < strings->argc + strings->envc; i++) {
		if (i == strings->argc)
			*next++ = 0;
		*next++ = at;
		at += strlen(strings->text + (at - strings_at)) + 1;
	}
	if (strings->envc == 0)
		*next++ = 0;
	*next++ = 0;
	memcpy(next, auxiliary, sizeof auxiliary);

	random_fill(random, sizeof random);
	result = copy_to_user((void *)path_at, path, strlen(path) + 1);
	result |= copy_to_user((void *)strings_at, strings->text, strings->used);
	result |= copy_to_user((void *)platform_at, platform, sizeof platform);
	result |= copy_to_user((void *)random_at, random, sizeof random);
	result |= copy_to_user((void *)rsp, words, count * sizeof(u64));
	kfree(words);
	return result ? -EFAULT : (long)rsp;
}

long program_space(struct space *space, const struct elf_program *program)
{
	space->heap_start = space->heap_end = program->heap_start;
	space->mmap_top = USER_TOP - STACK_SIZE - STACK_GAP;
	return space_map(space, USER_TOP - STACK_SIZE, STACK_SIZE, REGION_READ | REGION_WRITE | REGION_STACK, NULL, 0, 0);
}

/* In the modes that take unmodified binaries, those below /ring3/ show the difference. */
static bool runs_at_ring0(const char *path)
{
	return RING0_APPLICATION && !LINKED_APPLICATION && strncmp(path, "/ring3/", 7) != 0;
}

/* Waits until the calling thread is the only one, and gives it the process's number. */
static void end_other_threads(struct process *process)
{
	u64 irq = irq_save();

	threads_end_others(process);
	while (process->threads.next->next != &process->threads && !current_thread()->exiting)
		wait_sleep_killable(&process->changed);
	current_thread()->tid = process->pid;
	irq_restore(irq);
}

/* Handlers point into the program that is gone; what was ignored stays so (POSIX, exec). */
static long reset_signals(struct process *process)
{
	struct signal_actions *actions = kmalloc(sizeof *actions);

	if (!actions)
		return -ENOMEM;
	actions->references = 1;
	for (int i = 0; i < SIGNALS; i++)
		if (process->actions->action[i].handler == SIG_IGN)
			actions->action[i].handler = SIG_IGN;
	if (--process->actions->references == 0)
		kfree(process->actions);
	process->actions = actions;
	return 0;
}

static void thread_reset(struct thread *thread)
{
	thread->fs_base = 0;
	thread->clear_child_tid = thread->robust_list = 0;
	thread->signal_stack = (struct sigaltstack){ .flags = SS_DISABLE };
	fpu_init(thread->fpu);
}

static void process_rename(struct process *process, const char *path)
{
	const char *name = path;

	for (; *path; path++)
		if (path[0] == '/' && path[1])
			name = path + 1;
	strlcpy(process->name, name, sizeof process->name);
}

/* The process gives up its address space and begins the program in the new one. */
static long replace_program(struct process *process, struct file *file, const char *path,
			    const struct program_strings *strings, struct space *space, struct registers *registers)
{
	struct elf_program program;
	struct space *old = process->space;
	char where[PATH_MAX / 4];
	long rsp;

	if (inode_path(file->inode, where, sizeof where) < 0)
		strlcpy(where, path, sizeof where);
	process->space = space;
	space_switch(space);
	space_unref(old);
	vfork_release(process);
	files_close_on_exec(process->files);
	if (process->executable)
		inode_unref(process->executable);
	process->executable = file->inode;
	inode_ref(process->executable);
	process_rename(process, path);
	process->has_executed = true;
	process->ring0 = runs_at_ring0(where);
	thread_reset(current_thread());

	if (elf_load(file, space, &program) != 0 || program_space(space, &program) != 0)
		return -ENOMEM;
	rsp = program_stack(strings, &program, path);
	if (rsp < 0)
		return rsp;
	registers_init(registers, process->ring0, program.entry, rsp);
	return 0;
}

/* Leaves the kernel with these registers, as if for the first time. What is on the kernel stack is forgotten. */
void thread_restart(const struct registers *registers)
{
	static struct thread forgotten;		/* where switch_to saves what nobody comes back to */
	struct thread *thread = current_thread();

	irq_disable();
	forgotten.process = thread->process;
	thread_prepare(thread, registers);
	switch_to(&forgotten, thread);
	__builtin_unreachable();
}

/* On the kernel stack. Returns only if nothing has changed; takes the strings. */
long program_execute(const char *path, struct program_strings *strings)
{
	struct process *process = current_process();
	struct registers registers;
	struct space *space = NULL;
	struct file *file;
	long result = program_find(path, strings, &file);

	if (result == 0 && !((space = space_create()) && reset_signals(process) == 0)) {
		file_unref(file);
		if (space)
			space_unref(space);
		result = -ENOMEM;
	}
	if (result != 0) {
		strings_free(strings);
		return result;
	}
	end_other_threads(process);
	result = replace_program(process, file, path, strings, space, &registers);
	file_unref(file);
	strings_free(strings);
	if (result != 0)
		process_exit(SIGKILL);
	thread_restart(&registers);
}

long sys_execve(const char *user_path, const char *const *argv, const char *const *envp)
{
	struct program_strings strings = {};
	char path[PATH_MAX / 2];
	char *buffer = kmalloc(STRING_MAX);
	long result = buffer ? copy_string_from_user(path, user_path, sizeof path) : -ENOMEM;

	if (result >= 0)
		result = *path ? strings_copy(&strings, argv, &strings.argc, buffer) : -ENOENT;
	if (result == 0)
		result = strings_copy(&strings, envp, &strings.envc, buffer);
	kfree(buffer);
	if (result == 0 && strings.argc == 0)
		result = -EINVAL;
	if (result == 0)
		return program_execute(path, &strings);
	strings_free(&strings);
	return result;
}
