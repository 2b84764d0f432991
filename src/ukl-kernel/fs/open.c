/* open and creat. */
#include "internal.h"

/* A final symbolic link is what open gets, not what it points to. */
static bool follows(u32 flags) { return !(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL); }

static long open_found(struct lookup *found, u32 flags, u32 mode, struct file **result)
{
	struct inode *inode = found->inode;
	const struct file_operations *operations;

	if (!inode) {
		if (!(flags & O_CREAT) || found->must_be_directory)
			return flags & O_CREAT ? -EISDIR : -ENOENT;
		TRY(inode_make(found, S_IFREG | (mode & 07777 & ~current_process()->umask), &inode));
	} else if (flags & O_CREAT && flags & O_EXCL) {
		return -EEXIST;
	}
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		operations = &regular_operations;
		break;
	case S_IFDIR:
		operations = &directory_operations;
		if (flags & (O_ACCMODE | O_CREAT))
			return -EISDIR;
		break;
	case S_IFCHR:
		operations = device_operations(inode->device);
		break;
	default:
		return -ELOOP;		/* a symbolic link */
	}
	if (flags & O_DIRECTORY && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (flags & O_TRUNC && S_ISREG(inode->mode))
		TRY(inode_truncate(inode, 0));
	*result = file_create(inode, operations, (flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC)) | O_LARGEFILE);
	return *result ? 0 : -ENFILE;
}

long file_open(const char *path, u32 flags, u32 mode, struct file **result)
{
	struct lookup found;
	/* Before process 1 exists, the console is opened from the root. */
	struct inode *from = current_thread() && current_process() ? current_process()->directory : inode_root();
	TRY(path_walk(from, path, follows(flags), &found));
	return open_found(&found, flags, mode, result);
}

long sys_openat(int at, const char *path, u32 flags, u32 mode)
{
	struct lookup found;
	struct file *file;
	TRY(path_lookup(at, path, follows(flags), &found));
	TRY(open_found(&found, flags, mode, &file));
	int descriptor = descriptor_install(file, 0, flags & O_CLOEXEC);
	if (descriptor < 0)
		file_unref(file);
	return descriptor;
}

long sys_open(const char *path, u32 flags, u32 mode) { return sys_openat(AT_FDCWD, path, flags, mode); }
long sys_creat(const char *path, u32 mode) { return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
