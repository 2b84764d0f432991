/* Names: making, renaming and removing them; directories as files; the current directory. */
#include "internal.h"

static bool directory_is_empty(struct inode *directory) { return list_empty(&directory->entries.list); }

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
	if (on_disk(at->directory))
		return ext2_symlink(at, target, length);
	TRY(inode_make(at, S_IFLNK | 0777, &inode));
	inode->target = kmalloc(length + 1);
	if (!inode->target) {
		inode_unlink(inode);
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
long sys_readlink(const char *path, char *to, int size) { return sys_readlinkat(AT_FDCWD, path, to, size); }

/* `.`, `..` and the root have no name that could be taken away. */
static bool is_special(const char *name) { return !strcmp(name, ".") || !strcmp(name, "..") || !*name; }

long sys_unlinkat(int at, const char *path, u32 flags)
{
	struct lookup found;
	TRY(path_lookup(at, path, false, &found));
	struct inode *inode = found.inode;
	if (!inode)
		return -ENOENT;
	if (S_ISDIR(inode->mode) != !!(flags & AT_REMOVEDIR))
		return S_ISDIR(inode->mode) ? -EISDIR : -ENOTDIR;
	if (is_mounted(inode))
		return -EBUSY;
	if (on_disk(inode) && !is_special(found.name))
		return ext2_unlink(&found);
	if (S_ISDIR(inode->mode) && (is_special(found.name) || !directory_is_empty(inode)))
		return !strcmp(found.name, ".") ? -EINVAL : inode == root ? -EBUSY : -ENOTEMPTY;
	inode_unlink(inode);
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
	if (is_special(old.name) || is_special(new.name))
		return -EBUSY;
	if (new.inode == inode)
		return 0;
	/* A directory must not come to lie in itself. */
	for (struct inode *at = new.directory; at != inode_parent(at); at = inode_parent(at))
		if (at == inode)
			return -EINVAL;
	if (new.inode && S_ISDIR(new.inode->mode) != S_ISDIR(inode->mode))
		return S_ISDIR(inode->mode) ? -ENOTDIR : -EISDIR;
	if (is_mounted(inode) || (new.inode && is_mounted(new.inode)))
		return -EBUSY;
	if (on_disk(inode) || on_disk(new.directory))
		return on_disk(inode) && on_disk(new.directory) ? ext2_rename(&old, &new) : -EXDEV;
	if (new.inode && S_ISDIR(inode->mode) && !directory_is_empty(new.inode))
		return -ENOTEMPTY;
	TRY(inode_link(new.directory, new.name, inode));
	if (new.inode)
		inode_unlink(new.inode);
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
	struct inode *inode;
	if (!file)
		return -EBADF;
	if (!S_ISDIR(file->inode->mode))
		return -ENOTDIR;
	if (on_disk(file->inode))
		return ext2_getdents(file, to, size);
	long result = list_name(&listing, ".", file->inode, 0);
	if (!result)
		result = list_name(&listing, "..", inode_parent(file->inode), 1);
	list_for_each(inode, &file->inode->entries.list, link)
		if (!result)
			result = list_name(&listing, inode->name, inode, inode->cookie);
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
