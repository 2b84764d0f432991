/* Names: making, linking, renaming and removing them; directories as files; the current directory. */
#include "internal.h"

static bool directory_is_empty(struct inode *directory) { return list_empty(&directory->directory.entries); }

long sys_mkdirat(int at, const char *path, u32 mode)
{
	struct lookup found;
	struct inode *inode;
	TRY(path_lookup(at, path, false, &found));
	return inode_make(&found, S_IFDIR | (mode & 01777 & ~current_process()->umask), &inode);
}
long sys_mkdir(const char *path, u32 mode) { return sys_mkdirat(AT_FDCWD, path, mode); }

long symlink_make(struct lookup *at, const char *target, size_t length)
{
	struct inode *inode;
	TRY(inode_make(at, S_IFLNK | 0777, &inode));
	inode->target = kmalloc(length + 1);
	if (!inode->target) {
		entry_remove(inode->name);
		return -ENOSPC;
	}
	memcpy(inode->target, target, length);
	inode->size = length;
	return 0;
}

long sys_symlinkat(const char *target, int at, const char *path)
{
	static char copy[PATH_MAX];	/* as in path_lookup */
	struct lookup found;
	long length = copy_string_from_user(copy, target, sizeof(copy));
	if (length <= 0)
		return length ? length : -ENOENT;
	TRY(path_lookup(at, path, false, &found));
	return symlink_make(&found, copy, length);
}
long sys_symlink(const char *target, const char *path) { return sys_symlinkat(target, AT_FDCWD, path); }

long sys_readlinkat(int at, const char *path, char *buffer, int size)
{
	static char executable[PATH_MAX];
	struct inode *inode;
	TRY(inode_at(at, path, AT_SYMLINK_NOFOLLOW, &inode));
	if (size <= 0 || !S_ISLNK(inode->mode))
		return -EINVAL;
	const char *target = inode->target ?: executable;
	if (!inode->target && (!current_process()->executable ||
			       inode_path(current_process()->executable, executable, sizeof(executable)) < 0))
		return -ENOENT;
	size_t length = MIN(strlen(target), (size_t)size);
	return copy_to_user(buffer, target, length) ? -EFAULT : (long)length;
}
long sys_readlink(const char *path, char *buffer, int size) { return sys_readlinkat(AT_FDCWD, path, buffer, size); }

long sys_linkat(int from_at, const char *from, int to_at, const char *to, u32 flags)
{
	struct inode *inode;
	struct lookup new;
	TRY(inode_at(from_at, from, flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW, &inode));
	TRY(path_lookup(to_at, to, false, &new));
	if (new.inode)
		return -EEXIST;
	return S_ISDIR(inode->mode) ? -EPERM : entry_add(new.directory, new.name, inode);
}
long sys_link(const char *from, const char *to) { return sys_linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

long sys_unlinkat(int at, const char *path, u32 flags)
{
	struct lookup found;
	TRY(path_lookup(at, path, false, &found));
	if (!found.inode)
		return -ENOENT;
	if (!(flags & AT_REMOVEDIR) && S_ISDIR(found.inode->mode))
		return -EISDIR;
	if (flags & AT_REMOVEDIR) {
		if (!S_ISDIR(found.inode->mode))
			return -ENOTDIR;
		if (!found.entry)
			return !found.name[0] ? -EBUSY : found.name[1] ? -ENOTEMPTY : -EINVAL;	/* / .. . */
		if (!directory_is_empty(found.inode))
			return -ENOTEMPTY;
		found.inode->links--;		/* its `.`: no entry can be added any more */
	}
	entry_remove(found.entry);
	return 0;
}
long sys_unlink(const char *path) { return sys_unlinkat(AT_FDCWD, path, 0); }
long sys_rmdir(const char *path) { return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

long sys_renameat(int from_at, const char *from, int to_at, const char *to)
{
	struct lookup old, new;
	TRY(path_lookup(from_at, from, false, &old));
	TRY(path_lookup(to_at, to, false, &new));
	struct inode *inode = old.inode;

	if (!inode)
		return -ENOENT;
	if (!old.entry || (new.inode && !new.entry))
		return -EBUSY;		/* `.`, `..` or the root */
	if (new.inode == inode)
		return 0;		/* two names of one file: both stay (POSIX.1 rename) */
	if (S_ISDIR(inode->mode)) {
		/* A directory must not come to lie in itself. */
		for (struct inode *at = new.directory; at != inode_parent(at); at = inode_parent(at))
			if (at == inode)
				return -EINVAL;
		if (new.inode && !S_ISDIR(new.inode->mode))
			return -ENOTDIR;
		if (new.inode && !directory_is_empty(new.inode))
			return -ENOTEMPTY;
	} else if (new.inode && S_ISDIR(new.inode->mode)) {
		return -EISDIR;
	}
	TRY(entry_add(new.directory, new.name, inode));
	if (new.entry) {
		if (S_ISDIR(inode->mode))
			new.inode->links--;
		entry_remove(new.entry);
	}
	entry_remove(old.entry);
	return 0;
}
long sys_rename(const char *from, const char *to) { return sys_renameat(AT_FDCWD, from, AT_FDCWD, to); }

/* Directories as files. The position is the next entry's cookie: removing entries meanwhile does no harm. */

static ssize_t directory_read(struct file *file, void *buffer, size_t size, u64 *position) { return -EISDIR; }

const struct file_operations directory_operations = { .seekable = true, .read = directory_read };

struct listing { struct file *file; void *to; size_t size, used; };

/* Appends a record; 1: no room for it. */
static long list_name(struct listing *listing, const char *name, struct inode *inode, u64 cookie)
{
	size_t size = ALIGN_UP(sizeof(struct directory_record) + strlen(name) + 1, 8);
	struct { struct directory_record head; char name[NAME_MAX + 9]; } record = {
		.head = { inode->number, cookie + 1, size, inode->mode >> 12 },
	};

	if (cookie < listing->file->position)
		return 0;		/* was listed before */
	if (size > listing->size - listing->used)
		return 1;
	strlcpy(record.name, name, sizeof(record.name));
	TRY(copy_to_user(listing->to + listing->used, &record, size));
	listing->used += size;
	listing->file->position = cookie + 1;
	return 0;
}

long sys_getdents64(int descriptor, void *to, u32 size)
{
	struct file *file = file_get(descriptor);
	struct listing listing = { .file = file, .to = to, .size = size };
	struct entry *entry;

	if (!file)
		return -EBADF;
	if (!S_ISDIR(file->inode->mode))
		return -ENOTDIR;
	long result = list_name(&listing, ".", file->inode, 0) ?: list_name(&listing, "..", inode_parent(file->inode), 1);
	list_for_each(entry, &file->inode->directory.entries, link)
		if (!result)
			result = list_name(&listing, entry->name, entry->inode, entry->cookie);
	return listing.used ? (long)listing.used : result == 1 ? -EINVAL : result;
}

static long change_directory(int at, const char *path)
{
	struct process *process = current_process();
	struct inode *inode;
	TRY(inode_at(at, path, 0, &inode));
	if (!S_ISDIR(inode->mode))
		return -ENOTDIR;
	inode_ref(inode);
	inode_unref(process->directory);
	process->directory = inode;
	return 0;
}
long sys_chdir(const char *path) { return change_directory(AT_FDCWD, path); }
long sys_fchdir(int descriptor) { return change_directory(descriptor, NULL); }

/* The length counts the NUL here. */
long sys_getcwd(char *to, size_t size)
{
	static char path[PATH_MAX];
	long length = inode_path(current_process()->directory, path, sizeof(path));
	if (length < 0 || (size_t)length >= size)
		return length < 0 ? length : -ERANGE;
	return copy_to_user(to, path, length + 1) ? -EFAULT : length + 1;
}
