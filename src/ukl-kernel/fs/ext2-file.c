/* Regular files: their bytes, and what is known of any file. */
#include "ext2.h"

enum { AHEAD = 32 };		/* blocks that are read before they are asked for */

/*
 * Begins to read blocks from `first` on, which is wanted now, up to `limit`. Whoever reads on where he was finds half of
 * them there, and begins the next half.
 */
static void read_ahead(struct ext2_node *node, u64 first, u64 limit)
{
	u64 index = first;
	u32 number;
	bool fresh;
	if (first == node->next_read)
		index = MAX(index, node->ahead);
	node->next_read = first + 1;
	limit = MIN(limit, first + AHEAD);
	if (index > first + AHEAD / 2 || index >= limit)
		return;
	for (; index < limit; index++)
		if (!ext2_map(node, index, false, &number, &fresh) && number)
			block_prefetch(node->inode.ext2->cache, number);
	node->ahead = limit;
}

/* Into the application's memory, or the kernel's. */
static ssize_t read(struct inode *inode, void *to, size_t size, u64 *position, bool to_user)
{
	static u8 zeroes[PAGE_SIZE];		/* blocks are not larger */
	struct ext2_node *node = node_of(inode);
	struct ext2 *fs = inode->ext2;
	size_t done = 0;
	long error = 0;
	u32 number;
	bool fresh;
	size = MIN(size, inode->size - MIN(inode->size, *position));
	u64 first = block_number(*position, fs), limit = block_number(*position + size + fs->block_size - 1, fs);
	if (first == node->next_read || first + 1 == node->next_read)
		limit = MIN(limit + AHEAD, block_number(inode->size + fs->block_size - 1, fs));
	while (done < size && !error) {
		struct block *block = NULL;
		u64 offset = *position % fs->block_size, index = block_number(*position, fs);
		size_t piece = MIN(size - done, fs->block_size - offset);
		read_ahead(node, index, limit);
		error = ext2_map(node, index, false, &number, &fresh);
		if (!error && number)
			error = block_read(fs->cache, number, &block);
		const u8 *from = block ? block->data : zeroes;
		if (!error && to_user)
			error = copy_to_user(to + done, from + offset, piece);
		else if (!error)
			memcpy(to + done, from + offset, piece);
		block_put(block);
		if (!error) {
			done += piece;
			*position += piece;
		}
	}
	return done ? (ssize_t)done : error;
}

static ssize_t ext2_read(struct file *file, void *to, size_t size, u64 *position)
{
	tree_lock();
	ssize_t result = read(file->inode, to, size, position, true);
	tree_unlock();
	return result;
}

static ssize_t ext2_read_kernel(struct file *file, void *to, size_t size, u64 position)
{
	tree_lock();
	ssize_t result = read(file->inode, to, size, &position, false);
	tree_unlock();
	return result;
}

/* Part of one block. What a new block has besides is zeroes. */
static long write_piece(struct ext2_node *node, const void *from, size_t size, u64 position)
{
	struct ext2 *fs = node->inode.ext2;
	u64 index = block_number(position, fs);
	struct block *block;
	u32 number;
	bool fresh;
	if (!node->goal && index && !ext2_map(node, index - 1, false, &number, &fresh) && number)
		node->goal = number + 1;
	TRY(ext2_map(node, index, true, &number, &fresh));
	TRY(fresh ? block_zeroed(fs->cache, number, &block) : block_read(fs->cache, number, &block));
	long error = copy_from_user(block->data + position % fs->block_size, from, size);
	block_dirty(block);
	block_put(block);
	return error;
}

static ssize_t write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	struct inode *inode = file->inode;
	struct ext2_node *node = node_of(inode);
	u32 block_size = inode->ext2->block_size;
	size_t done = 0;
	long error = 0;
	if (file->flags & O_APPEND)
		*position = inode->size;
	while (done < size && !error) {
		size_t piece = MIN(size - done, block_size - *position % block_size);
		error = write_piece(node, buffer + done, piece, *position);
		if (!error) {
			done += piece;
			*position += piece;
			inode->size = MAX(inode->size, *position);
		}
	}
	if (error)
		ext2_shrink(node, inode->size);	/* what was made for bytes that did not come */
	if (done || error) {
		inode->modified = time_of_day();
		error = ext2_store(node) ?: error;
	}
	if (!error && file->flags & O_DSYNC)
		error = ext2_sync(inode->ext2);
	return done && (!error || !(file->flags & O_DSYNC)) ? (ssize_t)done : error;
}

static ssize_t ext2_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	tree_lock();
	ssize_t result = write(file, buffer, size, position);
	tree_unlock();
	return result;
}

const struct file_operations ext2_operations = {
	.seekable = true, .read = ext2_read, .write = ext2_write, .read_kernel = ext2_read_kernel,
};

/* Growing makes a hole. The rest of the last block must read as zeroes when the file grows again. */
long ext2_truncate(struct inode *inode, u64 size)
{
	struct ext2_node *node = node_of(inode);
	struct ext2 *fs = inode->ext2;
	struct block *block;
	u32 number, offset = size % fs->block_size;
	bool fresh;
	if (fs->read_only)
		return -EROFS;
	long error = ext2_map(node, block_number(size, fs), false, &number, &fresh);
	if (error)
		return error;
	if (size < inode->size && offset && number) {
		TRY(block_read(fs->cache, number, &block));
		memset(block->data + offset, 0, fs->block_size - offset);
		block_dirty(block);
		block_put(block);
	}
	if (size < inode->size)
		error = ext2_shrink(node, size);
	inode->size = size;
	inode->modified = time_of_day();
	return ext2_store(node) ?: error;
}

long ext2_changed(struct inode *inode) { return ext2_store(node_of(inode)); }

void ext2_stat(struct inode *inode, struct stat *stat)
{
	const struct ext2_inode *raw = &node_of(inode)->raw;
	stat->device = inode->ext2->device;
	stat->links = raw->links;
	stat->uid = raw->uid | (u32)raw->uid_high << 16;
	stat->gid = raw->gid | (u32)raw->gid_high << 16;
	stat->block_size = inode->ext2->block_size;
	stat->blocks = raw->sectors;
	stat->accessed = (struct timespec){ raw->accessed, 0 };
	stat->changed = (struct timespec){ raw->changed, 0 };
}
