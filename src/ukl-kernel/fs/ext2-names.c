/* Names of files on a disk: making, linking, renaming and removing them. Callers have looked both ends up. */
#include "ext2.h"

static long names_writable(const struct inode *directory) { return directory->ext2->read_only ? -EROFS : 0; }

/* Directories are their own `.`, and their children's `..`. */
static long add_links(struct ext2_node *node, int change)
{
	node->raw.links += change;
	return ext2_store(node);
}

static bool full(const struct ext2_node *node) { return node->raw.links >= EXT2_LINKS_MAX; }

/* One name less; nobody needs to know it any more. */
static void lose_name(struct ext2_node *node, const struct lookup *at)
{
	struct inode *inode = &node->inode;
	if (inode->directory == at->directory && !strcmp(inode->name, at->name))
		ext2_name(node, NULL, NULL);
	add_links(node, S_ISDIR(inode->mode) ? -(int)node->raw.links : -1);
	inode->ext2->reap = true;
}

long ext2_lookup(struct lookup *at)
{
	struct ext2_node *directory = node_of(at->directory), *node;
	struct ext2_place place;
	at->inode = NULL;
	long error = S_ISDIR(at->directory->mode) ? ext2_find(directory, at->name, &place) : -ENOTDIR;
	if (error)
		return error == -ENOENT ? 0 : error;
	u32 number = place.entry->inode;
	block_put(place.block);
	TRY(ext2_node_get(directory->inode.ext2, number, &node));
	/* A directory with two names would make a loop of what is no tree. */
	if (S_ISDIR(node->inode.mode) && node->inode.directory && node->inode.directory != at->directory)
		return -EIO;
	if (!node->inode.directory)
		ext2_name(node, at->directory, at->name);
	at->inode = &node->inode;
	return 0;
}

/* The node's name is in the directory now. */
static long made(struct lookup *at, struct ext2_node *node, long error, struct inode **result)
{
	if (error) {
		node->raw.links = 0;		/* -> ext2_reap() */
		node->inode.ext2->reap = true;
		return error;
	}
	ext2_name(node, at->directory, at->name);
	*result = &node->inode;
	return 0;
}

long ext2_make(struct lookup *at, u32 mode, struct inode **result)
{
	struct ext2_node *directory = node_of(at->directory), *node;
	if (at->inode)
		return -EEXIST;
	TRY(names_writable(at->directory));
	if (!directory->raw.links)
		return -ENOENT;
	if (S_ISDIR(mode) && full(directory))
		return -EMLINK;
	TRY(ext2_node_create(directory, mode, &node));
	node->raw.links = S_ISDIR(mode) ? 2 : 1;
	long error = S_ISDIR(mode) ? ext2_begin_directory(node, directory) : ext2_store(node);
	if (!error)
		error = ext2_add(directory, at->name, node);
	if (!error && S_ISDIR(mode))
		error = add_links(directory, 1);
	return made(at, node, error, result);
}

long ext2_symlink(struct lookup *at, const char *target, size_t length)
{
	struct ext2 *fs = at->directory->ext2;
	struct ext2_node *directory = node_of(at->directory), *node;
	struct inode *inode;
	struct block *block;
	u32 number;
	bool fresh;
	if (at->inode)
		return -EEXIST;
	TRY(names_writable(at->directory));
	if (length >= fs->block_size)
		return -ENAMETOOLONG;
	TRY(ext2_node_create(directory, S_IFLNK | 0777, &node));
	node->raw.links = 1;
	node->inode.size = length;
	node->inode.target = kmalloc(length + 1);
	long error = node->inode.target ? 0 : -ENOSPC;
	if (!error)
		memcpy(node->inode.target, target, length);
	if (!error && length < sizeof(node->raw.slots)) {
		memcpy(node->raw.slots, target, length);
	} else if (!error) {
		error = ext2_map(node, 0, true, &number, &fresh);
		if (!error)
			error = block_zeroed(fs->cache, number, &block);
		if (!error) {
			memcpy(block->data, target, length);
			block_put(block);
		}
	}
	if (!error)
		error = ext2_store(node);
	if (!error)
		error = ext2_add(directory, at->name, node);
	return made(at, node, error, &inode);
}

long ext2_link(struct inode *inode, struct lookup *at)
{
	struct ext2_node *node = node_of(inode);
	if (at->inode)
		return -EEXIST;
	if (!on_disk(inode) || inode->ext2 != at->directory->ext2)
		return -EXDEV;
	TRY(names_writable(at->directory));
	if (S_ISDIR(inode->mode))
		return -EPERM;
	if (full(node) || !node->raw.links)
		return node->raw.links ? -EMLINK : -ENOENT;
	TRY(ext2_add(node_of(at->directory), at->name, node));
	return add_links(node, 1);
}

/* Directories are empty. */
long ext2_unlink(struct lookup *at)
{
	struct ext2_node *directory = node_of(at->directory), *node = node_of(at->inode);
	struct ext2_place place;
	TRY(names_writable(at->directory));
	if (S_ISDIR(at->inode->mode))
		TRY(ext2_is_empty(node));
	TRY(ext2_find(directory, at->name, &place));
	TRY(ext2_remove(directory, &place));
	if (S_ISDIR(at->inode->mode))
		add_links(directory, -1);
	lose_name(node, at);
	return 0;
}

/* A directory's `..`, which counts as a link of the one that it names. */
static void move_parent(struct ext2_node *node, struct ext2_node *from, struct ext2_node *to)
{
	struct ext2_place place;
	if (from == to || ext2_find(node, "..", &place))
		return;
	ext2_replace(node, &place, to);
	add_links(from, -1);
	add_links(to, 1);
}

/* The callers' checks are done: types fit, and nothing comes to lie in itself. */
long ext2_rename(struct lookup *old, struct lookup *new)
{
	struct ext2_node *from = node_of(old->directory), *to = node_of(new->directory), *node = node_of(old->inode);
	bool directory = S_ISDIR(old->inode->mode);
	struct ext2_place place;
	if (!on_disk(old->directory) || old->directory->ext2 != new->directory->ext2)
		return -EXDEV;
	TRY(names_writable(old->directory));
	if (directory && from != to && full(to))
		return -EMLINK;
	if (new->inode && directory)
		TRY(ext2_is_empty(node_of(new->inode)));
	if (new->inode) {
		TRY(ext2_find(to, new->name, &place));
		ext2_replace(to, &place, node);
		lose_name(node_of(new->inode), new);
		if (directory)
			add_links(to, -1);
	} else {
		TRY(ext2_add(to, new->name, node));
	}
	TRY(ext2_find(from, old->name, &place));	/* only now: adding may have moved it within its block */
	TRY(ext2_remove(from, &place));
	if (directory)
		move_parent(node, from, to);
	ext2_name(node, new->directory, new->name);
	return ext2_store(node);
}
