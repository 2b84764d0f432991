/* What is known of a file, and what of it can be set. Everyone is root, and owns every file. */
#include "internal.h"

static struct timespec to_timespec(u64 time)
{
	return (struct timespec){ .seconds = time / NS_PER_SECOND, .nanoseconds = time % NS_PER_SECOND };
}

long sys_newfstatat(int at, const char *path, struct stat *to, u32 flags)
{
	struct inode *inode;
	TRY(inode_at(at, path, flags, &inode));
	struct stat stat = {
		.device = 1, .inode = inode->number, .links = inode->links, .mode = inode->mode,
		.special_device = inode->device, .size = inode->size, .block_size = PAGE_SIZE,
		.blocks = ALIGN_UP(inode->size, PAGE_SIZE) / 512, .accessed = to_timespec(inode->accessed),
		.modified = to_timespec(inode->modified), .changed = to_timespec(inode->modified),
	};
	return copy_to_user(to, &stat, sizeof(stat));
}
long sys_stat(const char *path, struct stat *to) { return sys_newfstatat(AT_FDCWD, path, to, 0); }
long sys_lstat(const char *path, struct stat *to) { return sys_newfstatat(AT_FDCWD, path, to, AT_SYMLINK_NOFOLLOW); }
long sys_fstat(int descriptor, struct stat *to) { return sys_newfstatat(descriptor, NULL, to, 0); }

/* Any file may be read and written; executing needs somebody's execute bit. */
long sys_faccessat2(int at, const char *path, u32 wanted, u32 flags)
{
	struct inode *inode;
	TRY(inode_at(at, path, flags, &inode));
	return wanted & 1 && !S_ISDIR(inode->mode) && !(inode->mode & 0111) ? -EACCES : 0;
}
long sys_faccessat(int at, const char *path, u32 wanted) { return sys_faccessat2(at, path, wanted, 0); }
long sys_access(const char *path, u32 wanted) { return sys_faccessat2(AT_FDCWD, path, wanted, 0); }

long sys_fchmodat(int at, const char *path, u32 mode)
{
	struct inode *inode;
	TRY(inode_at(at, path, 0, &inode));
	inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
	return 0;
}
long sys_chmod(const char *path, u32 mode) { return sys_fchmodat(AT_FDCWD, path, mode); }
long sys_fchmod(int descriptor, u32 mode) { return sys_fchmodat(descriptor, NULL, mode); }

static u64 new_time(const struct timespec *time, u64 old)
{
	return time->nanoseconds == UTIME_OMIT ? old : time->nanoseconds == UTIME_NOW ? time_of_day() :
	       time->seconds * NS_PER_SECOND + time->nanoseconds;
}

/* Without a path: the descriptor's file. Without times: now. */
long sys_utimensat(int at, const char *path, const struct timespec *user, u32 flags)
{
	struct timespec times[2] = { { .nanoseconds = UTIME_NOW }, { .nanoseconds = UTIME_NOW } };
	struct inode *inode;
	if (user && copy_from_user(times, user, sizeof(times)))
		return -EFAULT;
	TRY(inode_at(at, path, flags, &inode));
	inode->accessed = new_time(&times[0], inode->accessed);
	inode->modified = new_time(&times[1], inode->modified);
	return 0;
}

static long truncate(struct inode *inode, s64 size)
{
	return S_ISDIR(inode->mode) ? -EISDIR : size < 0 || !S_ISREG(inode->mode) ? -EINVAL : inode_truncate(inode, size);
}

long sys_truncate(const char *path, s64 size)
{
	struct inode *inode;
	TRY(inode_at(AT_FDCWD, path, 0, &inode));
	return truncate(inode, size);
}

long sys_ftruncate(int descriptor, s64 size)
{
	struct file *file = file_get(descriptor);
	if (!file)
		return -EBADF;
	return (file->flags & O_ACCMODE) == O_RDONLY ? -EINVAL : truncate(file->inode, size);
}

long sys_umask(u32 mask)
{
	u32 old = current_process()->umask;
	current_process()->umask = mask & 0777;
	return old;
}
