/* open and creat. */
#include "internal.h"

/* Of a descriptor opened with O_PATH, and of what cannot be read or written. */
const struct file_operations path_operations = { .read = NULL };

long inode_open(struct inode *inode, u32 flags, struct file **result)
{
	const struct file_operations *operations = flags & O_PATH	   ? &path_operations :
						   S_ISREG(inode->mode)	   ? &regular_operations :
						   S_ISDIR(inode->mode)	   ? &directory_operations :
						   S_ISFIFO(inode->mode)   ? &pipe_operations :
						   S_ISCHR(inode->mode)	   ? device_operations(inode->device) : NULL;
	if (!operations)
		return -ENXIO;		/* a socket, or a device that is not there */
	struct file *file = file_create(inode, operations, (flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC)) | O_LARGEFILE);
	if (!file)
		return -ENFILE;
	long error = operations->open ? operations->open(file) : 0;
	if (error) {
		file->operations = &path_operations;	/* nothing to release */
		file_unref(file);
		return error;
	}
	*result = file;
	return 0;
}

static u32 lookup_flags(u32 flags)
{
	return flags & O_NOFOLLOW || (flags & O_CREAT && flags & O_EXCL) ? 0 : LOOKUP_FOLLOW;
}

static long open_found(struct lookup *found, u32 flags, u32 mode, struct file **result)
{
	struct inode *inode = found->inode;

	if (!inode) {
		if (!(flags & O_CREAT))
			return -ENOENT;
		if (found->must_be_directory)
			return -EISDIR;
		long error = inode_make(found, S_IFREG | (mode & 07777 & ~current_process()->umask), 0, &inode);
		if (error)
			return error;
	} else if (flags & O_CREAT && flags & O_EXCL) {
		return -EEXIST;
	} else if (S_ISLNK(inode->mode) && !(flags & O_PATH)) {
		return -ELOOP;
	}
	if (flags & O_DIRECTORY && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (S_ISDIR(inode->mode) && (flags & O_ACCMODE || flags & O_CREAT))
		return -EISDIR;
	if (S_ISREG(inode->mode)) {
		if (inode->refresh) {
			if (flags & O_ACCMODE)
				return -EACCES;
			inode->refresh(inode);
		} else if (flags & O_TRUNC) {
			long error = inode_truncate(inode, 0);
			if (error)
				return error;
		}
	}
	return inode_open(inode, flags, result);
}

long file_open(const char *path, u32 flags, u32 mode, struct file **result)
{
	struct lookup found;
	/* Before process 1 exists, the console is opened from the root. */
	struct inode *from = current_thread() && current_process() ? current_process()->directory : inode_root();
	TRY(path_walk(from, path, lookup_flags(flags), &found));
	return open_found(&found, flags, mode, result);
}

long sys_openat(int at, const char *path, u32 flags, u32 mode)
{
	struct lookup found;
	struct file *file;
	long error = path_lookup(at, path, lookup_flags(flags), &found);
	if (!error)
		error = open_found(&found, flags, mode, &file);
	if (error)
		return error;
	int descriptor = descriptor_install(file, 0, flags & O_CLOEXEC);
	if (descriptor < 0)
		file_unref(file);
	return descriptor;
}

long sys_open(const char *path, u32 flags, u32 mode) { return sys_openat(AT_FDCWD, path, flags, mode); }
long sys_creat(const char *path, u32 mode) { return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
