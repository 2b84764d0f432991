/*
 * Which block of the disk holds which block of a file: 12 numbers in the inode, then one number each of a block of
 * numbers, of a block of such blocks, and of a block of those. 0 is a hole.
 */
#include "ext2.h"

/* The way from the inode to a block: the slot, then places in blocks of pointers. Its length; 0: too far. */
static u32 path_to(const struct ext2 *fs, u64 index, u32 path[LEVELS + 1])
{
	if (index < DIRECT) {
		path[0] = index;
		return 1;
	}
	index -= DIRECT;
	u64 span = fs->pointers;		/* blocks that this level reaches */
	for (u32 level = 1; level <= LEVELS; level++, span *= fs->pointers) {
		if (index < span) {
			path[0] = DIRECT + level - 1;
			for (u32 i = 1; i <= level; i++) {
				span /= fs->pointers;
				path[i] = index / span;
				index %= span;
			}
			return level + 1;
		}
		index -= span;
	}
	return 0;
}

/* The number of sectors is 32 bits wide: what is beyond belongs to no file. */
static long add_block(struct ext2_node *node, u32 *slot, bool pointers)
{
	struct ext2 *fs = node->inode.ext2;
	u32 sectors = fs->block_size / SECTOR_SIZE;
	u32 group_start = fs->super.first_data_block +
			  (node->inode.number - 1) / fs->super.inodes_per_group * fs->super.blocks_per_group;
	struct block *block;
	if (node->raw.sectors + sectors < sectors)
		return -EFBIG;
	TRY(ext2_block_allocate(fs, node->goal ?: group_start, slot));
	node->goal = *slot + 1;
	node->raw.sectors += sectors;
	if (!pointers)
		return 0;
	long error = block_zeroed(fs->cache, *slot, &block);
	if (!error)
		block_put(block);
	return error;
}

long ext2_map(struct ext2_node *node, u64 index, bool create, u32 *number, bool *fresh)
{
	struct ext2 *fs = node->inode.ext2;
	u32 path[LEVELS + 1], length = path_to(fs, index, path);
	u32 *slot = &node->raw.slots[path[0]];
	struct block *holder = NULL;
	long error = length ? 0 : -EFBIG;
	*number = 0;
	*fresh = false;
	for (u32 i = 1; !error; i++) {
		if (!*slot && create) {
			error = add_block(node, slot, i < length);
			*fresh = i == length;
			if (holder)
				block_dirty(holder);
		}
		u32 next = *slot;
		block_put(holder);
		holder = NULL;
		if (i == length || !next || error) {
			*number = error ? 0 : next;
			break;
		}
		error = block_read(fs->cache, next, &holder);
		if (!error)
			slot = (u32 *)holder->data + path[i];
	}
	return error;
}

/* Frees what a slot of `level` reaches from its block `first` on, and the slot's block if nothing is left. */
static long free_below(struct ext2_node *node, u32 *slot, u32 level, u64 first)
{
	struct ext2 *fs = node->inode.ext2;
	struct block *block;
	long error = 0;
	if (!*slot)
		return 0;
	if (level) {
		u64 span = 1;
		for (u32 i = 1; i < level; i++)
			span *= fs->pointers;
		TRY(block_read(fs->cache, *slot, &block));
		for (u64 i = first / span; i < fs->pointers && !error; i++)
			error = free_below(node, (u32 *)block->data + i, level - 1, i == first / span ? first % span : 0);
		block_dirty(block);
		block_put(block);
	}
	if (first || error)
		return error;
	node->raw.sectors -= MIN(node->raw.sectors, fs->block_size / SECTOR_SIZE);
	u32 number = *slot;
	*slot = 0;
	return ext2_block_free(fs, number);
}

long ext2_shrink(struct ext2_node *node, u64 size)
{
	struct ext2 *fs = node->inode.ext2;
	u64 first = block_number(size + fs->block_size - 1, fs), start = DIRECT, span = fs->pointers;
	long error = 0;
	for (u64 i = first; i < DIRECT && !error; i++)
		error = free_below(node, &node->raw.slots[i], 0, 0);
	for (u32 level = 1; level <= LEVELS && !error; level++) {
		if (first < start + span)
			error = free_below(node, &node->raw.slots[DIRECT + level - 1], level, first > start ? first - start : 0);
		start += span;
		span *= fs->pointers;
	}
	node->goal = 0;
	return error;
}
