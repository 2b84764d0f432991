/* Descriptor tables: numbers for open files, shared by dup and fork. */
#include "internal.h"

struct file *file_create(struct inode *inode, u32 flags)
{
	struct file *file = kmalloc(sizeof(*file));
	if (!file)
		return NULL;
	*file = (struct file){ .references = 1, .flags = flags, .operations = inode->operations, .inode = inode };
	inode_ref(inode);
	return file;
}

void file_unref(struct file *file)
{
	if (--file->references > 0)
		return;
#if CONFIG_NET
	epoll_forget(file);
#endif
	if (file->operations->release)
		file->operations->release(file);
	inode_unref(file->inode);
	kfree(file);
}

struct file *file_get(int descriptor)
{
	struct files *files = current_process()->files;
	return (u32)descriptor < FILES_MAX ? files->open[descriptor] : NULL;
}

int descriptor_install(struct file *file, int from, bool close_on_exec)
{
	struct files *files = current_process()->files;
	for (int i = from; file && i < FILES_MAX; i++) {
		if (!files->open[i]) {
			files->open[i] = file;
			files->close_on_exec[i] = close_on_exec;
			return i;
		}
	}
	if (file)
		file_unref(file);
	return file ? -EMFILE : -ENFILE;
}

static void descriptor_remove(struct files *files, int descriptor)
{
	struct file *file = files->open[descriptor];
	files->open[descriptor] = NULL;
	if (file)
		file_unref(file);
}

struct files *files_fork(struct files *from)
{
	struct files *files = kmalloc(sizeof(*files));
	if (!files)
		return NULL;
	*files = *from;
	for (int i = 0; i < FILES_MAX; i++)
		if (files->open[i])
			file_ref(files->open[i]);
	return files;
}

void files_free(struct files *files)
{
	for (int i = 0; i < FILES_MAX; i++)
		descriptor_remove(files, i);
	kfree(files);
}

void files_close_on_exec(struct files *files)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (files->close_on_exec[i])
			descriptor_remove(files, i);
}

long sys_close(int descriptor)
{
	if (!file_get(descriptor))
		return -EBADF;
	descriptor_remove(current_process()->files, descriptor);
	return 0;
}

static long duplicate(int descriptor, u64 from, bool close_on_exec)
{
	struct file *file = file_get(descriptor);
	if (!file || from >= FILES_MAX)
		return file ? -EINVAL : -EBADF;
	file_ref(file);
	return descriptor_install(file, from, close_on_exec);
}

long sys_dup(int descriptor) { return duplicate(descriptor, 0, false); }

static long duplicate_to(int from, int to, bool close_on_exec)
{
	struct file *file = file_get(from);
	if (!file || (u32)to >= FILES_MAX)
		return -EBADF;
	file_ref(file);
	descriptor_remove(current_process()->files, to);
	return descriptor_install(file, to, close_on_exec);
}
long sys_dup2(int from, int to) { return from == to && file_get(from) ? to : duplicate_to(from, to, false); }
long sys_dup3(int from, int to, u32 flags)
{
	return from == to || flags & ~O_CLOEXEC ? -EINVAL : duplicate_to(from, to, flags & O_CLOEXEC);
}

long sys_fcntl(int descriptor, u32 command, u64 argument)
{
	const u32 settable = O_APPEND | O_NONBLOCK;
	struct files *files = current_process()->files;
	struct file *file = file_get(descriptor);
	if (!file)
		return -EBADF;
	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return duplicate(descriptor, argument, command == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return files->close_on_exec[descriptor];	/* FD_CLOEXEC is 1 */
	case F_SETFD:
		files->close_on_exec[descriptor] = argument & FD_CLOEXEC;
		return 0;
	case F_GETFL:
		return file->flags;
	case F_SETFL:
		file->flags = (file->flags & ~settable) | (argument & settable);
		return 0;
	}
	return -EINVAL;
}

long sys_ioctl(int descriptor, u32 request, u64 argument)
{
	struct file *file = file_get(descriptor);
	if (!file)
		return -EBADF;
	return file->operations->ioctl ? file->operations->ioctl(file, request, argument) : -ENOTTY;
}
