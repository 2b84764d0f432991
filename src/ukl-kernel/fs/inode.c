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
		list_init(&inode->directory.entries);
		inode->directory.next_cookie = 2;	/* 0 and 1 are `.` and `..` */
		inode->links = 1;			/* its `.` */
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
	if (S_ISREG(inode->mode))
		content_free(inode);
	else if (S_ISLNK(inode->mode))
		kfree(inode->target);
	kfree(inode);
}

struct entry *entry_find(struct inode *directory, const char *name)
{
	struct entry *entry;
	list_for_each(entry, &directory->directory.entries, link)
		if (!strcmp(entry->name, name))
			return entry;
	return NULL;
}

/* The name takes a reference of its own. */
long entry_add(struct inode *directory, const char *name, struct inode *inode)
{
	if (directory->links < 2)
		return -ENOENT;		/* it was removed */
	struct entry *entry = kmalloc(sizeof(*entry) + strlen(name) + 1);
	if (!entry)
		return -ENOSPC;
	memcpy(entry->name, name, strlen(name));
	entry->directory = directory;
	entry->inode = inode;
	entry->cookie = directory->directory.next_cookie++;
	list_add_tail(&directory->directory.entries, &entry->link);
	inode_ref(inode);
	inode->name = entry;
	inode->links++;
	if (S_ISDIR(inode->mode))
		directory->links++;	/* its `..` */
	directory->modified = time_of_day();
	return 0;
}

void entry_remove(struct entry *entry)
{
	struct inode *inode = entry->inode, *directory = entry->directory;

	list_remove(&entry->link);
	inode->links--;
	if (inode->name == entry)
		inode->name = NULL;
	if (S_ISDIR(inode->mode))
		directory->links--;
	directory->modified = time_of_day();
	inode_unref(inode);
	kfree(entry);
}

/* The root is its own parent; so is a directory that was removed. */
struct inode *inode_parent(struct inode *directory)
{
	return directory->name ? directory->name->directory : directory;
}

/* Written from the end, name by name up to the root, and then moved to the front. */
long inode_path(struct inode *inode, char *to, size_t size)
{
	char *at = to + size;

	if (size < 2)
		return -ERANGE;
	*--at = 0;
	if (inode == root)
		*--at = '/';
	for (; inode != root; inode = inode->name->directory) {
		if (!inode->name)
			return -ENOENT;
		size_t length = strlen(inode->name->name);
		if ((size_t)(at - to) < length + 1)
			return -ERANGE;
		at -= length;
		memcpy(at, inode->name->name, length);
		*--at = '/';
	}
	size_t length = to + size - at - 1;
	memmove(to, at, length + 1);
	return length;
}

long inode_make(struct lookup *at, u32 mode, struct inode **result)
{
	if (at->inode)
		return -EEXIST;
	struct inode *inode = inode_create(mode);
	if (!inode)
		return -ENOSPC;
	long error = entry_add(at->directory, at->name, inode);
	inode_unref(inode);		/* the name holds it, or nobody */
	*result = inode;
	return error;
}
