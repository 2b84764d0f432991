/* open and creat. */
#include "internal.h"

/* A final symbolic link is what open gets, not what it points to. */
static bool follows(u32 flags) { return !(flags & O_NOFOLLOW) && (~flags & (O_CREAT | O_EXCL)); }

static long open_found(struct lookup *found, u32 flags, u32 mode, struct file **result)
{
	struct inode *inode = found->inode;
	if (!inode) {
		if (!(flags & O_CREAT))
			return -ENOENT;
		TRY(inode_make(found, S_IFREG | (mode & 07777 & ~current_process()->umask), &inode));
	} else if (flags & O_CREAT && flags & O_EXCL) {
		return -EEXIST;
	}
	if (!inode->operations)
		return S_ISLNK(inode->mode) ? -ELOOP : -ENXIO;
	if (S_ISDIR(inode->mode) ? flags & (O_ACCMODE | O_CREAT) : flags & O_DIRECTORY)
		return S_ISDIR(inode->mode) ? -EISDIR : -ENOTDIR;
	if (on_disk(inode) && flags & (O_ACCMODE | O_TRUNC) && !ext2_writable(inode))
		return -EROFS;
	if (flags & O_TRUNC && S_ISREG(inode->mode))
		TRY(inode_truncate(inode, 0));
	*result = file_create(inode, (flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC)) | O_LARGEFILE);
	return *result ? 0 : -ENFILE;
}

long file_open(const char *path, u32 flags, u32 mode, struct file **result)
{
	struct lookup found;
	TRY(path_walk(current_process()->directory, path, follows(flags), &found));
	return open_found(&found, flags, mode, result);
}

long sys_openat(int at, const char *path, u32 flags, u32 mode)
{
	struct lookup found;
	struct file *file;
	TRY(path_lookup(at, path, follows(flags), &found));
	TRY(open_found(&found, flags, mode, &file));
	return descriptor_install(file, 0, flags & O_CLOEXEC);
}

long sys_open(const char *path, u32 flags, u32 mode) { return sys_openat(AT_FDCWD, path, flags, mode); }
long sys_creat(const char *path, u32 mode) { return sys_open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
