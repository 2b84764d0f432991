/* execve: a new program in a new address space; and the first stack of a program. */
#include "file.h"
#include "process.h"

#define STACK_SIZE	(8UL << 20)
#define STACK_GAP	(1UL << 20)		/* never mapped, below the stack */
enum { STRINGS_MAX = 128 * 1024, SCRIPT_LINE = 256 };

static long strings_begin(struct program_strings *strings)
{
	if (!strings->text)
		strings->text = kmalloc(STRINGS_MAX);
	return strings->text ? 0 : -ENOMEM;
}

long strings_add(struct program_strings *strings, const char *s, u32 *count)
{
	u64 size = strlen(s) + 1;
	if (strings_begin(strings) != 0 || strings->used + size > STRINGS_MAX)
		return -E2BIG;
	memcpy(strings->text + strings->used, s, size);
	strings->used += size;
	++*count;
	return 0;
}

/* The application's NULL-terminated vector of strings, but for the first `skip`. NULL is an empty one. */
static long strings_copy(struct program_strings *strings, const char *const *vector, u32 skip, u32 *count)
{
	const char *s;
	long length = strings_begin(strings);
	for (u32 i = 0; vector && length >= 0; i++) {
		if (copy_from_user(&s, &vector[i], sizeof s))
			return -EFAULT;
		if (!s)
			break;
		if (i < skip)
			continue;
		length = copy_string_from_user(strings->text + strings->used, s, STRINGS_MAX - strings->used);
		strings->used += length + 1;
		++*count;
	}
	return length == -ENAMETOOLONG ? -E2BIG : MIN(length, 0L);
}

static char *skip_spaces(char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* Splits `#! interpreter [argument]`: the rest of the line is one argument, as on Linux. */
static bool script_line(char *line, char **interpreter, char **argument)
{
	char *end = strchr(line, '\n');
	if (!end)
		return false;
	while (end[-1] == ' ' || end[-1] == '\t')
		end--;
	*end = 0;
	*interpreter = end = skip_spaces(line + 2);
	while (*end && *end != ' ' && *end != '\t')
		end++;
	*argument = skip_spaces(end);
	*end = 0;
	return **interpreter != 0;
}

/* Opens an executable regular file. */
static long executable_open(const char *path, struct file **result)
{
	tree_lock();
	long error = file_open(path, O_RDONLY, 0, result);
	tree_unlock();
	if (error != 0)
		return error;
	if (S_ISREG((*result)->inode->mode) && ((*result)->inode->mode & 0111))
		return 0;
	file_unref(*result);
	return -EACCES;
}

/* An interpreter that is itself a script is not executed: ENOEXEC, by elf_load(). */
long program_open(const char *path, struct program_strings *strings, struct file **result)
{
	char line[SCRIPT_LINE + 1] = {}, *interpreter, *argument;
	long error = executable_open(path, result);
	if (error != 0 || file_read_kernel(*result, line, SCRIPT_LINE, 0) < 2 || line[0] != '#' || line[1] != '!')
		return error;
	file_unref(*result);
	if (!script_line(line, &interpreter, &argument))
		return -ENOEXEC;
	error = strings_add(strings, interpreter, &strings->argc);
	if (error == 0 && *argument)
		error = strings_add(strings, argument, &strings->argc);
	if (error == 0)
		error = strings_add(strings, path, &strings->argc);
	return error != 0 ? error : executable_open(interpreter, result);
}

/*
 * The x86-64 psABI, 3.4.1, from the top: name of the program, strings, 16 random bytes; then, where RSP points,
 * argc, argv, NULL, envp, NULL, the auxiliary vector. Returns RSP, or -EFAULT: no memory.
 */
static long program_stack(const struct program_strings *strings, const struct elf_program *program, const char *path)
{
	u64 path_at = USER_TOP - 8 - (strlen(path) + 1);
	u64 strings_at = path_at - strings->used;
	u64 random_at = ALIGN_DOWN(strings_at - 16, 16);
	u64 random[2];
	u64 auxiliary[][2] = {
		{ AT_PAGESZ, PAGE_SIZE }, { AT_CLKTCK, 100 }, { AT_PHDR, program->headers },
		{ AT_PHENT, program->header_size }, { AT_PHNUM, program->header_count }, { AT_ENTRY, program->entry },
		{ AT_UID, 0 }, { AT_EUID, 0 }, { AT_GID, 0 }, { AT_EGID, 0 }, { AT_SECURE, 0 }, { AT_RANDOM, random_at },
		{ AT_EXECFN, path_at }, { AT_NULL, 0 },
	};
	u32 count = strings->argc + strings->envc;
	u64 at = strings_at, argc = strings->argc;
	u64 rsp = ALIGN_DOWN(random_at - (count + 3) * sizeof at - sizeof auxiliary, 16);
	u64 *next = (u64 *)rsp;
	random_fill(random, sizeof random);
	long result = copy_to_user((void *)path_at, path, strlen(path) + 1);
	result |= copy_to_user((void *)strings_at, strings->text, strings->used);
	result |= copy_to_user((void *)random_at, random, sizeof random);
	result |= copy_to_user(next++, &argc, sizeof argc);
	/* The NULLs are there already: the pages are fresh. */
	for (u32 i = 0; i < count; i++) {
		next += i == argc;
		result |= copy_to_user(next++, &at, sizeof at);
		at += strlen(strings->text + (at - strings_at)) + 1;
	}
	next = (u64 *)rsp + count + 3;
	result |= copy_to_user(next, auxiliary, sizeof auxiliary);
	return result ? -EFAULT : (long)rsp;
}

static long program_space(struct space *space, const struct elf_program *program)
{
	space->heap_start = space->heap_end = program->heap_start;
	space->mmap_top = USER_TOP - STACK_SIZE - STACK_GAP;
	return space_map(space, USER_TOP - STACK_SIZE, STACK_SIZE, REGION_READ | REGION_WRITE, NULL, 0, 0);
}

/* In the modes that take unmodified binaries, those below /ring3/ show the difference. */
static bool runs_at_ring0(struct file *file)
{
	char path[PATH_MAX / 4];
	if (!file)
		return true;		/* the linked application */
	return RING0_APPLICATION && !LINKED_APPLICATION &&
	       (inode_path(file->inode, path, sizeof path) < 0 || strncmp(path, "/ring3/", 7) != 0);
}

/* Handlers point into the program that is gone; what was ignored stays so (POSIX, exec). */
static void forget_program(struct process *process, struct thread *thread)
{
	for (int i = 0; i < SIGNALS; i++)
		if (process->actions[i].handler != SIG_IGN)
			process->actions[i] = (struct kernel_sigaction){};
	thread->fs_base = thread->clear_child_tid = 0;
	thread->signal_stack = (struct sigaltstack){ .flags = SS_DISABLE };
	fpu_init(thread->fpu);
	files_close_on_exec(process->files);
}

/* The process gives up its address space for the new one. */
static void replace_space(struct process *process, struct space *space)
{
	struct space *old = process->space;
	process->space = space;
	space_switch(space);
	space_unref(old);
	vfork_release(process);
}

/* Leaves the kernel with these registers, as if for the first time. What is on the kernel stack is forgotten. */
NORETURN static void thread_restart(const struct registers *registers)
{
	static struct thread forgotten;		/* where switch_to saves what nobody comes back to */
	struct thread *thread = current_thread();
	irq_disable();
	forgotten.process = thread->process;
	thread_prepare(thread, registers);
	switch_to(&forgotten, thread);
	__builtin_unreachable();
}

/* On the kernel stack. What can fail comes first: from replace_space() on the old program is lost. */
long program_execute(struct file *file, const char *path, struct program_strings *strings)
{
	struct process *process = current_process();
	struct elf_program program;
	struct space *space = space_create();
	long result = !space ? -ENOMEM : LINKED_APPLICATION && !file ? linked_program(&program)
				       : elf_load(file, path, space, &program);
	if (result == 0)
		result = program_space(space, &program);
	if (result != 0) {
		if (space)
			space_unref(space);
		return result;
	}
	replace_space(process, space);
	forget_program(process, current_thread());
	process->ring0 = runs_at_ring0(file);
	if (process->executable)
		inode_unref(process->executable);
	process->executable = file ? file->inode : NULL;
	if (file)
		inode_ref(file->inode);
	const char *name = path + strlen(path);
	while (name > path && name[-1] != '/')
		name--;
	strlcpy(process->name, name, sizeof process->name);
	result = program_stack(strings, &program, path);
	kfree(strings->text);
	if (file)
		file_unref(file);
	if (result < 0)
		process_exit(SIGKILL);
	struct registers registers;
	registers_init(&registers, process->ring0, program.entry, result);
	thread_restart(&registers);
}

long sys_execve(const char *user_path, const char *const *argv, const char *const *envp)
{
	struct program_strings strings = {};
	struct file *file;
	char path[PATH_MAX / 2];
	long result = copy_string_from_user(path, user_path, sizeof path);
	if (current_process()->threads.next->next != &current_process()->threads)
		return -EBUSY;		/* other threads run in the address space that would go */
	if (result >= 0)
		result = *path ? program_open(path, &strings, &file) : -ENOENT;
	if (result == 0) {
		/* A script's path stands for argv[0]. */
		result = strings_copy(&strings, argv, strings.argc > 0, &strings.argc);
		if (result == 0)
			result = strings_copy(&strings, envp, 0, &strings.envc);
		if (result == 0)
			result = strings.argc == 0 ? -EINVAL : program_execute(file, path, &strings);
		file_unref(file);
	}
	kfree(strings.text);
	return result;
}
