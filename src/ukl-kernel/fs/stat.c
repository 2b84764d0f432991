/* What is known of a file and of the file system: stat, statx, access, statfs. */
#include "internal.h"

#define NANOSECONDS 1000000000UL

/* The inode of a path or, with AT_EMPTY_PATH and no path, of a descriptor. */
static long inode_at(int at, const char *path, u32 flags, struct inode **inode)
{
	struct lookup found;
	u32 how = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);

	if (!path && flags & AT_EMPTY_PATH && at != AT_FDCWD) {
		*inode = file_get(at) ? file_get(at)->inode : NULL;
		return *inode ? 0 : -EBADF;
	}
	long error = path_lookup(at, path, how, &found);
	if (!error && !found.inode)
		error = -ENOENT;
	*inode = found.inode;
	return error;
}

/* In units of 512 bytes: page frames, and the part of the archive that has none. */
static u64 blocks_of(const struct inode *inode)
{
	if (!S_ISREG(inode->mode))
		return 0;
	return MAX(inode->content.frames, ALIGN_UP(inode->content.archive_size, PAGE_SIZE) / PAGE_SIZE) * 8;
}

static struct timespec to_timespec(u64 time)
{
	return (struct timespec){ .seconds = time / NANOSECONDS, .nanoseconds = time % NANOSECONDS };
}

static long stat_to_user(const struct inode *inode, struct stat *to)
{
	struct stat stat = {
		.device = 1,
		.inode = inode->number,
		.links = inode->links,
		.mode = inode->mode,
		.uid = inode->uid,
		.gid = inode->gid,
		.special_device = inode->device,
		.size = inode->size,
		.block_size = PAGE_SIZE,
		.blocks = blocks_of(inode),
		.accessed = to_timespec(inode->accessed),
		.modified = to_timespec(inode->modified),
		.changed = to_timespec(inode->changed),
	};
	return copy_to_user(to, &stat, sizeof(stat));
}

long sys_newfstatat(int at, const char *path, struct stat *to, u32 flags)
{
	struct inode *inode;
	long error = inode_at(at, path, flags, &inode);
	return error ? error : stat_to_user(inode, to);
}
long sys_stat(const char *path, struct stat *to) { return sys_newfstatat(AT_FDCWD, path, to, 0); }
long sys_lstat(const char *path, struct stat *to) { return sys_newfstatat(AT_FDCWD, path, to, AT_SYMLINK_NOFOLLOW); }
long sys_fstat(int descriptor, struct stat *to)
{
	struct file *file = file_get(descriptor);
	return file ? stat_to_user(file->inode, to) : -EBADF;
}

static struct statx_time to_statx_time(u64 time)
{
	return (struct statx_time){ .seconds = time / NANOSECONDS, .nanoseconds = time % NANOSECONDS };
}

long sys_statx(int at, const char *path, u32 flags, u32 mask, struct statx *to)
{
	struct inode *inode;
	(void)mask;
	long error = inode_at(at, path, flags, &inode);
	if (error)
		return error;
	struct statx statx = {
		.mask = STATX_BASIC_STATS,
		.block_size = PAGE_SIZE,
		.links = inode->links,
		.uid = inode->uid,
		.gid = inode->gid,
		.mode = inode->mode,
		.inode = inode->number,
		.size = inode->size,
		.blocks = blocks_of(inode),
		.accessed = to_statx_time(inode->accessed),
		.modified = to_statx_time(inode->modified),
		.changed = to_statx_time(inode->changed),
		.special_major = inode->device >> 8,
		.special_minor = inode->device & 0xff,
		.minor = 1,
	};
	return copy_to_user(to, &statx, sizeof(statx));
}

/* Everyone is root: any file may be read and written; executing needs somebody's execute bit. */
long sys_faccessat2(int at, const char *path, u32 wanted, u32 flags)
{
	struct inode *inode;
	long error = inode_at(at, path, flags, &inode);
	if (error)
		return error;
	return wanted & 1 && !S_ISDIR(inode->mode) && !(inode->mode & 0111) ? -EACCES : 0;
}
long sys_faccessat(int at, const char *path, u32 wanted) { return sys_faccessat2(at, path, wanted, 0); }
long sys_access(const char *path, u32 wanted) { return sys_faccessat2(AT_FDCWD, path, wanted, 0); }

static long statfs_to_user(struct statfs *to)
{
	struct statfs statfs = {
		.type = TMPFS_MAGIC,
		.block_size = PAGE_SIZE,
		.blocks = pages_total(),
		.free = pages_free(),
		.available = pages_free(),
		.files = pages_total(),
		.files_free = pages_free(),
		.name_length = NAME_MAX,
		.fragment_size = PAGE_SIZE,
	};
	return copy_to_user(to, &statfs, sizeof(statfs));
}

long sys_statfs(const char *path, struct statfs *to)
{
	struct inode *inode;
	long error = inode_at(AT_FDCWD, path, 0, &inode);
	return error ? error : statfs_to_user(to);
}
long sys_fstatfs(int descriptor, struct statfs *to) { return file_get(descriptor) ? statfs_to_user(to) : -EBADF; }

/* Attributes that are set. */

static long set_mode(struct inode *inode, u32 mode)
{
	inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
	inode->changed = time_of_day();
	return 0;
}

static long set_owner(struct inode *inode, u32 uid, u32 gid)
{
	inode->uid = uid == ~0u ? inode->uid : uid;
	inode->gid = gid == ~0u ? inode->gid : gid;
	inode->changed = time_of_day();
	return 0;
}

long sys_fchmodat(int at, const char *path, u32 mode)
{
	struct inode *inode;
	long error = inode_at(at, path, 0, &inode);
	return error ? error : set_mode(inode, mode);
}
long sys_chmod(const char *path, u32 mode) { return sys_fchmodat(AT_FDCWD, path, mode); }
long sys_fchmod(int descriptor, u32 mode)
{
	struct file *file = file_get(descriptor);
	return file ? set_mode(file->inode, mode) : -EBADF;
}

long sys_fchownat(int at, const char *path, u32 uid, u32 gid, u32 flags)
{
	struct inode *inode;
	long error = inode_at(at, path, flags, &inode);
	return error ? error : set_owner(inode, uid, gid);
}
long sys_chown(const char *path, u32 uid, u32 gid) { return sys_fchownat(AT_FDCWD, path, uid, gid, 0); }
long sys_lchown(const char *path, u32 uid, u32 gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}
long sys_fchown(int descriptor, u32 uid, u32 gid)
{
	struct file *file = file_get(descriptor);
	return file ? set_owner(file->inode, uid, gid) : -EBADF;
}

static u64 new_time(const struct timespec *time, u64 old)
{
	enum { UTIME_NOW = 0x3fffffff, UTIME_OMIT = 0x3ffffffe };
	if (time->nanoseconds == UTIME_OMIT)
		return old;
	return time->nanoseconds == UTIME_NOW ? time_of_day() : time->seconds * NANOSECONDS + time->nanoseconds;
}

/* Without a path: the descriptor's file. Without times: now. */
long sys_utimensat(int at, const char *path, const struct timespec *times, u32 flags)
{
	struct timespec time[2] = { { .nanoseconds = 0x3fffffff }, { .nanoseconds = 0x3fffffff } };
	struct inode *inode;
	long error = inode_at(at, path, path ? flags : AT_EMPTY_PATH, &inode);
	if (!error && times)
		error = copy_from_user(time, times, sizeof(time));
	if (error)
		return error;
	inode->accessed = new_time(&time[0], inode->accessed);
	inode->modified = new_time(&time[1], inode->modified);
	inode->changed = time_of_day();
	return 0;
}

long sys_truncate(const char *path, s64 size)
{
	struct inode *inode;
	long error = inode_at(AT_FDCWD, path, 0, &inode);
	if (error)
		return error;
	if (S_ISDIR(inode->mode))
		return -EISDIR;
	return size < 0 || !S_ISREG(inode->mode) ? -EINVAL : inode_truncate(inode, size);
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
