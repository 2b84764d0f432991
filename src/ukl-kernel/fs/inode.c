/* The tree in memory (tmpfs): inodes, and the names that directories give them. */
#include "internal.h"

struct inode *root;

struct inode *inode_create(u32 mode)
{
	static u64 last_number;
	struct inode *inode = kmalloc(sizeof(*inode));
	if (!inode)
		return NULL;
	inode->references = 1;
	inode->mode = mode;
	inode->number = ++last_number;
	inode->modified = time_of_day();
	if (S_ISREG(mode))
		inode->operations = &regular_operations;
	if (S_ISDIR(mode)) {
		inode->operations = &directory_operations;
		list_init(&inode->entries.list);
		inode->entries.next_cookie = 2;		/* 0 and 1 are `.` and `..` */
	}
	return inode;
}

struct inode *root_directory(void)
{
	inode_ref(root);
	return root;
}

void inode_ref(struct inode *inode) { inode->references++; }

/* An inode without references has no name either, so a directory is empty by now. */
void inode_unref(struct inode *inode)
{
	if (--inode->references > 0)
		return;
	if (on_disk(inode)) {
		ext2_unref(inode);
		return;
	}
	if (S_ISREG(inode->mode))
		content_free(inode);
	else if (S_ISLNK(inode->mode))
		kfree(inode->target);
	kfree(inode);
}

struct inode *inode_find(struct inode *directory, const char *name)
{
	struct inode *inode;
	list_for_each(inode, &directory->entries.list, link)
		if (!strcmp(inode->name, name))
			return inode;
	return NULL;
}

long inode_link(struct inode *directory, const char *name, struct inode *inode)
{
	if (!directory->directory)
		return -ENOENT;		/* it was removed */
	char *copy = kmalloc(strlen(name) + 1);
	if (!copy)
		return -ENOSPC;
	memcpy(copy, name, strlen(name));
	inode_ref(inode);
	inode_unlink(inode);
	inode->name = copy;
	inode->directory = directory;
	inode->cookie = directory->entries.next_cookie++;
	list_add_tail(&directory->entries.list, &inode->link);
	directory->modified = time_of_day();
	return 0;
}

void inode_unlink(struct inode *inode)
{
	if (!inode->directory)
		return;
	list_remove(&inode->link);
	kfree(inode->name);
	inode->directory->modified = time_of_day();
	inode->directory = NULL;
	inode_unref(inode);
}

/* A directory that was removed is its own parent, as the root is. */
struct inode *inode_parent(struct inode *directory) { return directory->directory ?: directory; }

/* Written from the end, name by name up to the root, and then moved to the front. */
long inode_path(struct inode *inode, char *to, size_t size)
{
	char *at = to + size - 1;
	*at = 0;
	do {
		size_t length = inode->directory ? strlen(inode->name) : 0;
		if (!inode->directory || length + 1 > (size_t)(at - to))
			return inode->directory ? -ERANGE : -ENOENT;
		at -= length + 1;
		*at = '/';
		memcpy(at + 1, inode->name, length);
		inode = inode->directory;
	} while (inode != root);
	size_t length = to + size - at - 1;
	memmove(to, at, length + 1);
	return length;
}

long inode_make(struct lookup *at, u32 mode, struct inode **result)
{
	if (on_disk(at->directory))
		return ext2_make(at, mode, result);
	if (at->inode)
		return -EEXIST;
	struct inode *inode = inode_create(mode);
	if (!inode)
		return -ENOSPC;
	long error = inode_link(at->directory, at->name, inode);
	inode_unref(inode);		/* the name holds it, or nobody */
	*result = inode;
	return error;
}
