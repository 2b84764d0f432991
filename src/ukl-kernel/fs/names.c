/* Names: making, linking, renaming and removing them; directories as files; the current directory. */
#include "internal.h"

static bool directory_is_empty(struct inode *directory) { return list_empty(&directory->directory.entries); }

long sys_mknodat(int at, const char *path, u32 mode, u32 device)
{
	struct lookup found;
	u32 type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;

	if (type != S_IFREG && type != S_IFIFO && type != S_IFCHR && type != S_IFSOCK)
		return type == S_IFDIR ? -EPERM : -EINVAL;
	TRY(path_lookup(at, path, 0, &found));
	return inode_make(&found, type | (mode & 07777 & ~current_process()->umask), device, NULL);
}
long sys_mknod(const char *path, u32 mode, u32 device) { return sys_mknodat(AT_FDCWD, path, mode, device); }

long sys_mkdirat(int at, const char *path, u32 mode)
{
	struct lookup found;
	TRY(path_lookup(at, path, 0, &found));
	return inode_make(&found, S_IFDIR | (mode & 01777 & ~current_process()->umask), 0, NULL);
}
long sys_mkdir(const char *path, u32 mode) { return sys_mkdirat(AT_FDCWD, path, mode); }

long sys_symlinkat(const char *target, int at, const char *path)
{
	static char copy[PATH_MAX];	/* as in path_lookup */
	struct lookup found;
	long length = copy_string_from_user(copy, target, sizeof(copy));
	if (length <= 0)
		return length ? length : -ENOENT;
	TRY(path_lookup(at, path, 0, &found));
	return symlink_make(&found, copy, length);
}
long sys_symlink(const char *target, const char *path) { return sys_symlinkat(target, AT_FDCWD, path); }

long sys_readlinkat(int at, const char *path, char *buffer, int size)
{
	struct lookup found;
	if (size <= 0)
		return -EINVAL;
	TRY(path_lookup(at, path, LOOKUP_EMPTY, &found));
	if (!found.inode)
		return -ENOENT;
	if (!S_ISLNK(found.inode->mode))
		return -EINVAL;
	if (found.inode->refresh)
		found.inode->refresh(found.inode);
	size_t length = MIN(strlen(found.inode->target), (size_t)size);
	return copy_to_user(buffer, found.inode->target, length) ? -EFAULT : (long)length;
}
long sys_readlink(const char *path, char *buffer, int size) { return sys_readlinkat(AT_FDCWD, path, buffer, size); }

long sys_linkat(int from_at, const char *from, int to_at, const char *to, u32 flags)
{
	struct lookup old, new;
	u32 how = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	long error = path_lookup(from_at, from, how, &old);
	if (!error && !old.inode)
		error = -ENOENT;
	if (!error)
		error = path_lookup(to_at, to, 0, &new);
	if (error)
		return error;
	if (new.inode)
		return -EEXIST;
	if (new.must_be_directory)
		return -ENOENT;
	if (S_ISDIR(old.inode->mode) || old.inode->refresh || new.directory->refresh)
		return -EPERM;
	return entry_add(new.directory, new.name, old.inode);
}
long sys_link(const char *from, const char *to) { return sys_linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

static long remove_directory(struct lookup *found)
{
	if (!found->inode)
		return -ENOENT;
	if (!found->entry)
		return !found->name[0] ? -EBUSY : found->name[1] ? -ENOTEMPTY : -EINVAL;	/* / .. . */
	if (!S_ISDIR(found->inode->mode))
		return -ENOTDIR;
	if (found->directory->refresh || found->inode->refresh)
		return -EPERM;
	if (!directory_is_empty(found->inode))
		return -ENOTEMPTY;
	found->inode->links--;		/* its `.`: no entry can be added any more */
	entry_remove(found->entry);
	return 0;
}

long sys_unlinkat(int at, const char *path, u32 flags)
{
	struct lookup found;
	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	TRY(path_lookup(at, path, 0, &found));
	if (flags & AT_REMOVEDIR)
		return remove_directory(&found);
	if (!found.inode)
		return -ENOENT;
	if (S_ISDIR(found.inode->mode))
		return -EISDIR;
	if (found.directory->refresh)
		return -EPERM;
	entry_remove(found.entry);
	return 0;
}
long sys_unlink(const char *path) { return sys_unlinkat(AT_FDCWD, path, 0); }
long sys_rmdir(const char *path) { return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

static long rename_found(struct lookup *old, struct lookup *new, u32 flags)
{
	struct inode *inode = old->inode;

	if (!inode)
		return -ENOENT;
	if (!old->entry || (new->inode && !new->entry))
		return -EBUSY;		/* `.`, `..` or the root */
	if (old->directory->refresh || new->directory->refresh)
		return -EPERM;
	if (new->inode && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (new->inode == inode)
		return 0;		/* two names of one file: both stay (POSIX.1 rename) */
	if (S_ISDIR(inode->mode)) {
		/* A directory must not come to lie in itself. */
		for (struct inode *at = new->directory; at != inode_root(); at = inode_parent(at))
			if (at == inode)
				return -EINVAL;
			else if (at == inode_parent(at))
				return -ENOENT;
		if (new->inode && !S_ISDIR(new->inode->mode))
			return -ENOTDIR;
		if (new->inode && !directory_is_empty(new->inode))
			return -ENOTEMPTY;
	} else if (new->inode && S_ISDIR(new->inode->mode)) {
		return -EISDIR;
	} else if (new->must_be_directory) {
		return -ENOTDIR;
	}
	TRY(entry_add(new->directory, new->name, inode));
	if (new->entry) {
		if (S_ISDIR(new->inode->mode))
			new->inode->links--;
		entry_remove(new->entry);
	}
	entry_remove(old->entry);
	return 0;
}

long sys_renameat2(int from_at, const char *from, int to_at, const char *to, u32 flags)
{
	struct lookup old, new;
	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	long error = path_lookup(from_at, from, 0, &old);
	if (!error)
		error = path_lookup(to_at, to, 0, &new);
	return error ? error : rename_found(&old, &new, flags);
}
long sys_renameat(int from_at, const char *from, int to_at, const char *to)
{
	return sys_renameat2(from_at, from, to_at, to, 0);
}
long sys_rename(const char *from, const char *to) { return sys_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* Directories as files. The position is the next entry's cookie: removing entries meanwhile does no harm. */

static ssize_t directory_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	return -EISDIR;
}

const struct file_operations directory_operations = { .seekable = true, .read = directory_read };

struct listing { struct file *file; void *to; size_t size, used; };

/* False: no room, or *error is set. */
static bool list_name(struct listing *listing, const char *name, struct inode *inode, u64 next, long *error)
{
	struct {
		struct directory_record head;
		char name[NAME_MAX + 2];
	} record = { .head = { .inode = inode->number, .next = next } };
	size_t length = strlen(name);

	record.head.size = ALIGN_UP(sizeof(record.head) + length + 1, 8);
	if (record.head.size > listing->size - listing->used) {
		*error = listing->used ? 0 : -EINVAL;
		return false;
	}
	record.head.type = inode->mode >> 12;
	memcpy(record.name, name, length);
	*error = copy_to_user(listing->to + listing->used, &record, record.head.size);
	if (*error)
		return false;
	listing->used += record.head.size;
	listing->file->position = next;
	return true;
}

long sys_getdents64(int descriptor, void *to, u32 size)
{
	struct file *file = file_get(descriptor);
	struct listing listing = { .file = file, .to = to, .size = size };
	struct entry *entry;
	long error = 0;

	if (!file || file->flags & O_PATH)
		return -EBADF;
	if (!S_ISDIR(file->inode->mode))
		return -ENOTDIR;
	if (file->inode->links < 1)
		return -ENOENT;
	if (file->inode->refresh && file->position == 0)
		file->inode->refresh(file->inode);
	if (file->position == 0 && !list_name(&listing, ".", file->inode, 1, &error))
		return error;
	if (file->position == 1 && !list_name(&listing, "..", inode_parent(file->inode), 2, &error))
		return error ? error : (long)listing.used;
	list_for_each(entry, &file->inode->directory.entries, link)
		if (entry->cookie >= file->position &&
		    !list_name(&listing, entry->name, entry->inode, entry->cookie + 1, &error))
			break;
	return listing.used ? (long)listing.used : error;
}

static long change_directory(struct inode *inode)
{
	struct process *process = current_process();
	if (!inode)
		return -ENOENT;
	if (!S_ISDIR(inode->mode))
		return -ENOTDIR;
	inode_ref(inode);
	inode_unref(process->directory);
	process->directory = inode;
	return 0;
}

long sys_chdir(const char *path)
{
	struct lookup found;
	TRY(path_lookup(AT_FDCWD, path, LOOKUP_FOLLOW, &found));
	return change_directory(found.inode);
}
long sys_fchdir(int descriptor)
{
	struct file *file = file_get(descriptor);
	return file ? change_directory(file->inode) : -EBADF;
}

/* The length counts the NUL here. */
long sys_getcwd(char *to, size_t size)
{
	static char path[PATH_MAX];
	long length = inode_path(current_process()->directory, path, sizeof(path));
	if (length < 0)
		return length;
	if ((size_t)length >= size)
		return -ERANGE;
	return copy_to_user(to, path, length + 1) ? -EFAULT : length + 1;
}

/* Processes have no root of their own. */
long sys_chroot(const char *path)
{
	return -ENOSYS;
}
