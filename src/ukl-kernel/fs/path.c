/* Paths: from a directory, component by component, through symbolic links, to the last one. */
#include "internal.h"

static long walk(struct inode *from, const char *path, bool follow, u32 *links, struct lookup *found)
{
	if (!*path)
		return -ENOENT;
	found->directory = found->inode = *path == '/' ? root : from;
	found->name[0] = 0;
	while (*path == '/')
		path++;
	while (*path) {
		size_t length = 0;
		while (path[length] && path[length] != '/')
			length++;
		if (length > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(found->name, path, length);
		found->name[length] = 0;
		found->directory = found->inode;
		path += length;
		bool slash = *path == '/';
		while (*path == '/')
			path++;
		if (!strcmp(found->name, ".") || !strcmp(found->name, "..")) {
			found->inode = found->name[1] ? inode_parent(found->inode) : found->inode;
			continue;
		}
#if CONFIG_DISK
		TRY(mount_find(found));
#else
		found->inode = inode_find(found->directory, found->name);
#endif
		if (found->inode && S_ISLNK(found->inode->mode) && (slash || follow)) {
			if (++*links > SYMLINKS_MAX)
				return -ELOOP;
			if (found->inode->target)
				TRY(walk(found->directory, found->inode->target, true, links, found));
			else if (!(found->inode = current_process()->executable))
				return -ENOENT;
		}
		if (!found->inode)
			return *path ? -ENOENT : 0;
		if (slash && !S_ISDIR(found->inode->mode))
			return -ENOTDIR;
	}
	return 0;
}

long path_walk(struct inode *from, const char *path, bool follow, struct lookup *found)
{
	u32 links = 0;
	return walk(from, path, follow, &links, found);
}

long path_lookup(int at, const char *path, bool follow, struct lookup *found)
{
	/* Used only until this returns, and nothing here waits: so one is enough, and the stack stays small. */
	static char copy[PATH_MAX];
	struct inode *from = current_process()->directory;
	long length = copy_string_from_user(copy, path, sizeof(copy));
	if (length < 0)
		return length;
	if (copy[0] != '/' && at != AT_FDCWD) {
		struct file *file = file_get(at);
		if (!file)
			return -EBADF;
		if (copy[0] && !S_ISDIR(file->inode->mode))
			return -ENOTDIR;
		from = file->inode;
	}
	return path_walk(from, copy, follow, found);
}

long inode_at(int at, const char *path, u32 flags, struct inode **inode)
{
	struct lookup found;
	char first = 0;
	/* The C library's fstat() is a path without characters. */
	if (path && flags & AT_EMPTY_PATH && copy_from_user(&first, path, 1))
		return -EFAULT;
	if (!path || (flags & AT_EMPTY_PATH && !first)) {
		*inode = file_get(at) ? file_get(at)->inode : NULL;
		return *inode ? 0 : -EBADF;
	}
	TRY(path_lookup(at, path, !(flags & AT_SYMLINK_NOFOLLOW), &found));
	*inode = found.inode;
	return found.inode ? 0 : -ENOENT;
}
