/* What is known of a file and of the file system, and what of it can be set. */
#include "internal.h"

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
	*inode = found.inode;
	return error ? error : found.inode ? 0 : -ENOENT;
}

/* In units of 512 bytes: page frames, and the part of the archive that has none. */
static u64 blocks_of(const struct inode *inode)
{
	u64 archive = S_ISREG(inode->mode) ? ALIGN_UP(inode->content.archive_size, PAGE_SIZE) / PAGE_SIZE : 0;
	return S_ISREG(inode->mode) ? MAX(inode->content.frames, archive) * 8 : 0;
}

static u64 file_system_of(const struct inode *inode) { return inode->refresh ? 2 : 1; }	/* /proc, the rest */

static struct timespec to_timespec(u64 time)
{
	return (struct timespec){ .seconds = time / NS_PER_SECOND, .nanoseconds = time % NS_PER_SECOND };
}

long sys_newfstatat(int at, const char *path, struct stat *to, u32 flags)
{
	struct inode *inode;
	TRY(inode_at(at, path, flags, &inode));
	struct stat stat = {
		.device = file_system_of(inode), .inode = inode->number, .links = inode->links, .mode = inode->mode,
		.uid = inode->uid, .gid = inode->gid, .special_device = inode->device, .size = inode->size,
		.block_size = PAGE_SIZE, .blocks = blocks_of(inode), .accessed = to_timespec(inode->accessed),
		.modified = to_timespec(inode->modified), .changed = to_timespec(inode->changed),
	};
	return copy_to_user(to, &stat, sizeof(stat));
}
long sys_stat(const char *path, struct stat *to) { return sys_newfstatat(AT_FDCWD, path, to, 0); }
long sys_lstat(const char *path, struct stat *to) { return sys_newfstatat(AT_FDCWD, path, to, AT_SYMLINK_NOFOLLOW); }
long sys_fstat(int descriptor, struct stat *to)
{
	return descriptor < 0 ? -EBADF : sys_newfstatat(descriptor, NULL, to, AT_EMPTY_PATH);
}

static struct statx_time to_statx_time(u64 time)
{
	return (struct statx_time){ .seconds = time / NS_PER_SECOND, .nanoseconds = time % NS_PER_SECOND };
}

long sys_statx(int at, const char *path, u32 flags, u32 mask, struct statx *to)
{
	struct inode *inode;
	TRY(inode_at(at, path, flags, &inode));
	struct statx statx = {
		.mask = STATX_BASIC_STATS, .block_size = PAGE_SIZE, .links = inode->links, .uid = inode->uid,
		.gid = inode->gid, .mode = inode->mode, .inode = inode->number, .size = inode->size,
		.blocks = blocks_of(inode), .accessed = to_statx_time(inode->accessed),
		.modified = to_statx_time(inode->modified), .changed = to_statx_time(inode->changed),
		.special_major = inode->device >> 8, .special_minor = inode->device & 0xff,
		.minor = file_system_of(inode),
	};
	return copy_to_user(to, &statx, sizeof(statx));
}

/* Everyone is root: any file may be read and written; executing needs somebody's execute bit. */
long sys_faccessat2(int at, const char *path, u32 wanted, u32 flags)
{
	struct inode *inode;
	long error = inode_at(at, path, flags, &inode);
	return error ? error : wanted & 1 && !S_ISDIR(inode->mode) && !(inode->mode & 0111) ? -EACCES : 0;
}
long sys_faccessat(int at, const char *path, u32 wanted) { return sys_faccessat2(at, path, wanted, 0); }
long sys_access(const char *path, u32 wanted) { return sys_faccessat2(AT_FDCWD, path, wanted, 0); }

static long file_system_state(int at, const char *path, u32 flags, struct statfs *to)
{
	struct inode *inode;
	long error = inode_at(at, path, flags, &inode);
	struct statfs statfs = {
		.type = TMPFS_MAGIC, .block_size = PAGE_SIZE, .fragment_size = PAGE_SIZE, .name_length = NAME_MAX,
		.blocks = pages_total(), .free = pages_free(), .available = pages_free(),
		.files = pages_total(), .files_free = pages_free(),
	};
	return error ? error : copy_to_user(to, &statfs, sizeof(statfs));
}
long sys_statfs(const char *path, struct statfs *to) { return file_system_state(AT_FDCWD, path, 0, to); }
long sys_fstatfs(int descriptor, struct statfs *to) { return file_system_state(descriptor, NULL, AT_EMPTY_PATH, to); }

static long change_mode(int at, const char *path, u32 flags, u32 mode)
{
	struct inode *inode;
	TRY(inode_at(at, path, flags, &inode));
	inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
	inode->changed = time_of_day();
	return 0;
}
long sys_fchmodat(int at, const char *path, u32 mode) { return change_mode(at, path, 0, mode); }
long sys_chmod(const char *path, u32 mode) { return change_mode(AT_FDCWD, path, 0, mode); }
long sys_fchmod(int descriptor, u32 mode) { return change_mode(descriptor, NULL, AT_EMPTY_PATH, mode); }

long sys_fchownat(int at, const char *path, u32 uid, u32 gid, u32 flags)
{
	struct inode *inode;
	TRY(inode_at(at, path, flags, &inode));
	inode->uid = uid == ~0u ? inode->uid : uid;
	inode->gid = gid == ~0u ? inode->gid : gid;
	inode->changed = time_of_day();
	return 0;
}
long sys_chown(const char *path, u32 uid, u32 gid) { return sys_fchownat(AT_FDCWD, path, uid, gid, 0); }
long sys_lchown(const char *path, u32 uid, u32 gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}
long sys_fchown(int descriptor, u32 uid, u32 gid) { return sys_fchownat(descriptor, NULL, uid, gid, AT_EMPTY_PATH); }

enum { UTIME_NOW = 0x3fffffff, UTIME_OMIT = 0x3ffffffe };

static u64 new_time(const struct timespec *time, u64 old)
{
	return time->nanoseconds == UTIME_OMIT ? old : time->nanoseconds == UTIME_NOW ? time_of_day() :
	       time->seconds * NS_PER_SECOND + time->nanoseconds;
}

static long set_times(int at, const char *path, u32 flags, const struct timespec times[2])
{
	struct inode *inode;
	TRY(inode_at(at, path, path ? flags : AT_EMPTY_PATH, &inode));
	inode->accessed = new_time(&times[0], inode->accessed);
	inode->modified = new_time(&times[1], inode->modified);
	inode->changed = time_of_day();
	return 0;
}

/* Without a path: the descriptor's file. Without times: now. */
long sys_utimensat(int at, const char *path, const struct timespec *user, u32 flags)
{
	struct timespec times[2] = { { .nanoseconds = UTIME_NOW }, { .nanoseconds = UTIME_NOW } };
	return user && copy_from_user(times, user, sizeof(times)) ? -EFAULT : set_times(at, path, flags, times);
}
long sys_futimesat(int at, const char *path, const struct timeval *user)
{
	struct timespec times[2] = { { .nanoseconds = UTIME_NOW }, { .nanoseconds = UTIME_NOW } };
	if (user && copy_from_user(times, user, sizeof(times)))
		return -EFAULT;
	for (int i = 0; user && i < 2; i++)
		times[i].nanoseconds *= 1000;
	return set_times(at, path, 0, times);
}
long sys_utimes(const char *path, const struct timeval *user) { return sys_futimesat(AT_FDCWD, path, user); }

long sys_truncate(const char *path, s64 size)
{
	struct inode *inode;
	TRY(inode_at(AT_FDCWD, path, 0, &inode));
	return S_ISDIR(inode->mode) ? -EISDIR : size < 0 || !S_ISREG(inode->mode) ? -EINVAL : inode_truncate(inode, size);
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
