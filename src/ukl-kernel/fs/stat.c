/* What is known of a file, and what of it can be set. Everyone is root, and owns every file. */
#include "internal.h"

long sys_newfstatat(int at, const char *path, struct stat *to, u32 flags)
{
	struct inode *inode;
	TRY(inode_at(at, path, flags, &inode));
	struct timespec modified = { inode->modified / NS_PER_SECOND, inode->modified % NS_PER_SECOND };
	struct stat stat = {
		.device = 1, .inode = inode->number, .links = inode->directory ? 1 : 0, .mode = inode->mode,
		.special_device = inode->device, .size = inode->size, .block_size = PAGE_SIZE,
		.blocks = ALIGN_UP(inode->size, PAGE_SIZE) / 512, .accessed = modified, .modified = modified,
		.changed = modified,
	};
	if (on_disk(inode))
		ext2_stat(inode, &stat);
	return copy_to_user(to, &stat, sizeof(stat));
}
long sys_stat(const char *path, struct stat *to) { return sys_newfstatat(AT_FDCWD, path, to, 0); }
long sys_lstat(const char *path, struct stat *to)
{
	return sys_newfstatat(AT_FDCWD, path, to, AT_SYMLINK_NOFOLLOW);
}
long sys_fstat(int descriptor, struct stat *to) { return sys_newfstatat(descriptor, NULL, to, 0); }

/* Any file may be read and written; executing needs somebody's execute bit. */
long sys_faccessat2(int at, const char *path, u32 wanted, u32 flags)
{
	struct inode *inode;
	TRY(inode_at(at, path, flags, &inode));
	if (on_disk(inode) && wanted & 2 && !ext2_writable(inode))
		return -EROFS;
	return wanted & 1 && !S_ISDIR(inode->mode) && !(inode->mode & 0111) ? -EACCES : 0;
}
long sys_faccessat(int at, const char *path, u32 wanted) { return sys_faccessat2(at, path, wanted, 0); }
long sys_access(const char *path, u32 wanted) { return sys_faccessat2(AT_FDCWD, path, wanted, 0); }

long sys_fchmodat(int at, const char *path, u32 mode)
{
	struct inode *inode;
	TRY(inode_at(at, path, 0, &inode));
	if (on_disk(inode) && !ext2_writable(inode))
		return -EROFS;
	inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
	return on_disk(inode) ? ext2_changed(inode) : 0;
}
long sys_chmod(const char *path, u32 mode) { return sys_fchmodat(AT_FDCWD, path, mode); }
long sys_fchmod(int descriptor, u32 mode) { return sys_fchmodat(descriptor, NULL, mode); }

/* Without a path: the descriptor's file. Without times: now. Of the two times the second counts, modification. */
long sys_utimensat(int at, const char *path, const struct timespec *user, u32 flags)
{
	struct timespec times[2] = { [1].nanoseconds = UTIME_NOW };
	struct inode *inode;
	if (user && copy_from_user(times, user, sizeof(times)))
		return -EFAULT;
	TRY(inode_at(at, path, flags, &inode));
	if (on_disk(inode) && !ext2_writable(inode))
		return -EROFS;
	if (times[1].nanoseconds == UTIME_NOW)
		inode->modified = time_of_day();
	else if (times[1].nanoseconds != UTIME_OMIT)
		inode->modified = times[1].seconds * NS_PER_SECOND + times[1].nanoseconds;
	return on_disk(inode) ? ext2_changed(inode) : 0;
}

long sys_ftruncate(int descriptor, s64 size)
{
	struct file *file = file_get(descriptor);
	if (!file)
		return -EBADF;
	if (size < 0 || !S_ISREG(file->inode->mode) || (file->flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	return inode_truncate(file->inode, size);
}

long sys_umask(u32 mask)
{
	u32 old = current_process()->umask;
	current_process()->umask = mask & 0777;
	return old;
}
