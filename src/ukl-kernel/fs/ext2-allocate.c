/* Free blocks and inodes: a bitmap of each in every group, and counts in the groups' descriptors and the superblock. */
#include "ext2.h"

long ext2_group(struct ext2 *fs, u32 number, struct block **block, struct ext2_group **group)
{
	u32 per_block = fs->block_size / sizeof(struct ext2_group);
	TRY(block_read(fs->cache, fs->super.first_data_block + 1 + number / per_block, block));
	*group = (struct ext2_group *)(*block)->data + number % per_block;
	return 0;
}

/* Sets the first clear bit of [from, end) of a bitmap block. -ENOSPC: all are set. */
static long take_bit(struct ext2 *fs, u32 bitmap, u32 from, u32 end, u32 *bit)
{
	struct block *block;
	TRY(block_read(fs->cache, bitmap, &block));
	u32 at = from;
	while (at < end && block->data[at / 8] & 1 << at % 8)
		at += at % 8 == 0 && block->data[at / 8] == 0xff ? 8 : 1;
	if (at < end) {
		block->data[at / 8] |= 1 << at % 8;
		block_dirty(block);
		*bit = at;
	}
	block_put(block);
	return at < end ? 0 : -ENOSPC;
}

static long clear_bit(struct ext2 *fs, u32 bitmap, u32 bit)
{
	struct block *block;
	TRY(block_read(fs->cache, bitmap, &block));
	bool was_set = block->data[bit / 8] & 1 << bit % 8;
	block->data[bit / 8] &= ~(1 << bit % 8);
	block_dirty(block);
	block_put(block);
	return was_set ? 0 : -EIO;
}

static u32 blocks_in_group(struct ext2 *fs, u32 group)
{
	const struct ext2_super *super = &fs->super;
	return MIN(super->blocks_per_group, super->blocks - super->first_data_block - group * super->blocks_per_group);
}

/* What a change of a group's counts does to the superblock's too. */
static void count_blocks(struct ext2 *fs, struct block *block, struct ext2_group *group, int change)
{
	group->free_blocks += change;
	fs->super.free_blocks += change;
	block_dirty(block);
}

static void count_inodes(struct ext2 *fs, struct block *block, struct ext2_group *group, int change, bool directory)
{
	group->free_inodes += change;
	group->directories -= directory ? change : 0;
	fs->super.free_inodes += change;
	block_dirty(block);
}

static long take_block(struct ext2 *fs, u32 number, u32 from, u32 *bit)
{
	struct block *block;
	struct ext2_group *group;
	TRY(ext2_group(fs, number, &block, &group));
	long error = group->free_blocks ? take_bit(fs, group->block_bitmap, from, blocks_in_group(fs, number), bit)
					: -ENOSPC;
	if (!error)
		count_blocks(fs, block, group, -1);
	block_put(block);
	return error;
}

/* From the goal on; then in the other groups; then in the goal's, from its start. */
long ext2_block_allocate(struct ext2 *fs, u32 goal, u32 *number)
{
	const struct ext2_super *super = &fs->super;
	u32 per_group = super->blocks_per_group, bit, first = super->first_data_block;
	goal = goal < first || goal >= super->blocks ? 0 : goal - first;
	for (u32 i = 0; i <= fs->groups && super->free_blocks; i++) {
		u32 group = (goal / per_group + i) % fs->groups;
		long error = take_block(fs, group, i ? 0 : goal % per_group, &bit);
		if (error != -ENOSPC) {
			*number = first + group * per_group + bit;
			return error;
		}
	}
	return -ENOSPC;
}

long ext2_block_free(struct ext2 *fs, u32 number)
{
	const struct ext2_super *super = &fs->super;
	struct block *block;
	struct ext2_group *group;
	if (number < super->first_data_block || number >= super->blocks)
		return -EIO;
	u32 index = number - super->first_data_block;
	TRY(ext2_group(fs, index / super->blocks_per_group, &block, &group));
	long error = clear_bit(fs, group->block_bitmap, index % super->blocks_per_group);
	if (!error) {
		count_blocks(fs, block, group, 1);
		block_forget(fs->cache, number);
	}
	block_put(block);
	return error;
}

/* Directories go where most blocks are free: their files shall find room beside them. */
static long roomiest_group(struct ext2 *fs, u32 *result)
{
	u32 most = 0;
	for (u32 i = 0; i < fs->groups; i++) {
		struct block *block;
		struct ext2_group *group;
		TRY(ext2_group(fs, i, &block, &group));
		if (group->free_inodes && group->free_blocks > most) {
			most = group->free_blocks;
			*result = i;
		}
		block_put(block);
	}
	return 0;
}

static long take_inode(struct ext2 *fs, u32 number, bool directory, u32 *bit)
{
	struct block *block;
	struct ext2_group *group;
	TRY(ext2_group(fs, number, &block, &group));
	long error = group->free_inodes ? take_bit(fs, group->inode_bitmap, 0, fs->super.inodes_per_group, bit) : -ENOSPC;
	if (!error)
		count_inodes(fs, block, group, -1, directory);
	block_put(block);
	return error;
}

long ext2_inode_allocate(struct ext2 *fs, u32 near, bool directory, u32 *number)
{
	u32 per_group = fs->super.inodes_per_group, first = (near - 1) / per_group, bit;
	if (directory)
		TRY(roomiest_group(fs, &first));
	for (u32 i = 0; i < fs->groups && fs->super.free_inodes; i++) {
		u32 group = (first + i) % fs->groups;
		long error = take_inode(fs, group, directory, &bit);
		if (error == -ENOSPC)
			continue;
		*number = group * per_group + bit + 1;
		return error || *number >= fs->first_inode ? error : -EIO;	/* the reserved ones are never free */
	}
	return -ENOSPC;
}

long ext2_inode_free(struct ext2 *fs, u32 number, bool directory)
{
	u32 per_group = fs->super.inodes_per_group;
	struct block *block;
	struct ext2_group *group;
	TRY(ext2_group(fs, (number - 1) / per_group, &block, &group));
	long error = clear_bit(fs, group->inode_bitmap, (number - 1) % per_group);
	if (!error)
		count_inodes(fs, block, group, 1, directory);
	block_put(block);
	return error;
}
