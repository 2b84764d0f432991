/* Paths: from a directory, component by component, through symbolic links, to the last one. */
#include "internal.h"

static long walk(struct inode *from, const char *path, u32 flags, u32 *links, struct lookup *found)
{
	struct inode *inode = *path == '/' ? inode_root() : from;

	found->directory = found->inode = inode;
	found->entry = NULL;
	found->name[0] = 0;
	found->must_be_directory = false;
	for (;;) {
		while (*path == '/')
			path++;
		if (!*path)
			return 0;
		size_t length = 0;
		while (path[length] && path[length] != '/')
			length++;
		const char *rest = path + length;
		bool slash = *rest == '/';
		while (*rest == '/')
			rest++;
		bool last = !*rest;

		if (!S_ISDIR(inode->mode))
			return -ENOTDIR;
		if (length > NAME_MAX)
			return -ENAMETOOLONG;
		found->directory = inode;
		memcpy(found->name, path, length);
		found->name[length] = 0;
		found->must_be_directory = slash;
		path = rest;

		if (is_dot(found->name)) {
			found->inode = inode = found->name[1] ? inode_parent(inode) : inode;
			found->entry = NULL;
			continue;
		}
		found->entry = entry_find(inode, found->name, length);
		found->inode = found->entry ? found->entry->inode : NULL;
		if (!found->inode)
			return last ? 0 : -ENOENT;
		inode = found->inode;
		if (S_ISLNK(inode->mode) && (!last || slash || flags & LOOKUP_FOLLOW)) {
			if (++*links > SYMLINKS_MAX)
				return -ELOOP;
			if (inode->refresh)
				inode->refresh(inode);
			if (!inode->target[0])
				return -ENOENT;
			long error = walk(found->directory, inode->target, LOOKUP_FOLLOW, links, found);
			if (error)
				return error;
			if (!found->inode)
				return last ? 0 : -ENOENT;
			found->must_be_directory |= slash;
			inode = found->inode;
		}
		if (last)
			return found->must_be_directory && !S_ISDIR(inode->mode) ? -ENOTDIR : 0;
	}
}

long path_walk(struct inode *from, const char *path, u32 flags, struct lookup *found)
{
	u32 links = 0;

	if (!*path && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	return walk(from, path, flags, &links, found);
}

long path_lookup(int at, const char *path, u32 flags, struct lookup *found)
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
	return path_walk(from, copy, flags, found);
}
