/* Mounting: what the superblock must say, and what it says while the file system is in use. */
#include "ext2.h"

#define SUPER_OFFSET 1024U
enum { REVISION_0_FIRST = 11, LARGEST_BLOCK = 2 };

struct feature { u32 bit; const char *name; };
static const struct feature incompatible[] = {
	{ 0x1, "compression" }, { 0x4, "needs_recovery" }, { 0x8, "journal_dev" }, { 0x10, "meta_bg" },
	{ 0x40, "extent" }, { 0x80, "64bit" }, { 0x100, "mmp" }, { 0x200, "flex_bg" }, { 0x400, "ea_inode" },
	{ 0x1000, "dirdata" }, { 0x2000, "metadata_csum_seed" }, { 0x4000, "large_dir" }, { 0x8000, "inline_data" },
	{ 0x10000, "encrypt" }, { 0x20000, "casefold" },
};
static const struct feature read_only_compatible[] = {
	{ 0x8, "huge_file" }, { 0x10, "uninit_bg" }, { 0x20, "dir_nlink" }, { 0x40, "extra_isize" }, { 0x100, "quota" },
	{ 0x200, "bigalloc" }, { 0x400, "metadata_csum" }, { 0x2000, "project" }, { 0x8000, "verity" },
	{ 0x10000, "orphan_present" },
};

/* Says which features of `found` stand in the way. */
static long refuse(const struct disk *disk, u32 found, const struct feature *names, size_t count, const char *what)
{
	if (!found)
		return 0;
	printk("ukl-kernel: %s: ext2: cannot be %s, with the features", disk->name, what);
	for (size_t i = 0; i < count; i++) {
		if (found & names[i].bit)
			printk(" %s", names[i].name);
		found &= ~names[i].bit;
	}
	if (found)
		printk(" %x", found);
	printk("\n");
	return -EINVAL;
}

static long check_features(struct ext2 *fs)
{
	const struct ext2_super *super = &fs->super;
	if (!super->revision)
		return 0;
	u32 no_read = super->incompatible & ~INCOMPATIBLE_FILE_TYPE;
	u32 no_write = super->read_only_compatible & ~(READ_ONLY_SPARSE_SUPER | READ_ONLY_LARGE_FILE);
	TRY(refuse(fs->disk, no_read, incompatible, ARRAY_SIZE(incompatible), "mounted"));
	return fs->read_only ? 0 : refuse(fs->disk, no_write, read_only_compatible, ARRAY_SIZE(read_only_compatible),
					  "written");
}

/* Everything that sizes and places are computed from later. */
static long check_sizes(struct ext2 *fs)
{
	const struct ext2_super *super = &fs->super;
	u32 bits = fs->block_size * 8, first = super->first_data_block;
	u64 disk_blocks = fs->disk->sectors / (fs->block_size / SECTOR_SIZE);
	bool sound = super->revision <= 1 && super->blocks > first && super->blocks <= disk_blocks &&
		     first == (fs->block_size == SUPER_OFFSET) && super->blocks_per_group && super->inodes_per_group &&
		     super->blocks_per_group <= bits && super->inodes_per_group <= bits &&
		     fs->inode_size >= INODE_SIZE_MIN && fs->inode_size <= fs->block_size &&
		     !(fs->inode_size & (fs->inode_size - 1)) && super->inodes >= fs->first_inode;
	if (sound)
		fs->groups = (super->blocks - first + super->blocks_per_group - 1) / super->blocks_per_group;
	if (sound && super->inodes <= (u64)fs->groups * super->inodes_per_group)
		return 0;
	printk("ukl-kernel: %s: ext2: expected a sound superblock, found revision %u, %u blocks, %u inodes on %lu blocks\n",
	       fs->disk->name, super->revision, super->blocks, super->inodes, disk_blocks);
	return -EINVAL;
}

/* Gets the superblock; it says how large blocks are, and they are then read anew. */
static long read_super(struct ext2 *fs, u32 block_size)
{
	fs->block_size = block_size;
	fs->cache = cache_create(fs->disk, block_size);
	if (!fs->cache)
		return -ENOMEM;
	TRY(block_read(fs->cache, SUPER_OFFSET / block_size, &fs->super_block));
	memcpy(&fs->super, fs->super_block->data + SUPER_OFFSET % block_size, sizeof(fs->super));
	u32 log = fs->super.log_block_size;
	if (fs->super.magic != EXT2_MAGIC || log > LARGEST_BLOCK || SUPER_OFFSET << log < fs->disk->sector_size) {
		printk("ukl-kernel: %s: expected ext2 with blocks of %u to 4096 bytes, found none\n", fs->disk->name,
		       MAX(fs->disk->sector_size, SUPER_OFFSET));
		return -EINVAL;
	}
	if (SUPER_OFFSET << log == block_size)
		return 0;
	cache_free(fs->cache);
	return read_super(fs, SUPER_OFFSET << log);
}

static long open(struct ext2 *fs)
{
	struct ext2_node *root;
	TRY(read_super(fs, MAX(fs->disk->sector_size, SUPER_OFFSET)));
	const struct ext2_super *super = &fs->super;
	fs->inode_size = super->revision ? super->inode_size : INODE_SIZE_MIN;
	fs->first_inode = super->revision ? super->first_inode : REVISION_0_FIRST;
	fs->file_types = super->revision && super->incompatible & INCOMPATIBLE_FILE_TYPE;
	fs->pointers = fs->block_size / sizeof(u32);
	TRY(check_features(fs));
	TRY(check_sizes(fs));
	TRY(ext2_node_get(fs, EXT2_ROOT, &root));
	fs->root = &root->inode;
	return S_ISDIR(fs->root->mode) ? 0 : -EIO;
}

/* As long as it is written to it is not clean: whoever finds it so after a crash has it checked. */
static long begin_writing(struct ext2 *fs)
{
	struct ext2_super *super = &fs->super;
	if (!(super->state & EXT2_CLEAN))
		printk("ukl-kernel: %s: ext2: was not unmounted: e2fsck should look at it\n", fs->disk->name);
	super->state &= ~EXT2_CLEAN;
	super->mounts++;
	super->mount_time = (u32)(time_of_day() / NS_PER_SECOND);
	return ext2_sync(fs);
}

long ext2_mount(struct disk *disk, bool read_only, struct ext2 **result)
{
	struct ext2 *fs = kmalloc(sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->disk = disk;
	fs->read_only = read_only;
	list_init(&fs->nodes);
	long error = open(fs);
	bool clean = !error && fs->super.state & EXT2_CLEAN;
	if (!error && !read_only)
		error = begin_writing(fs);
	if (error) {
		ext2_reap(fs, false, 0);
		if (fs->cache)
			cache_free(fs->cache);
		kfree(fs);
		return error;
	}
	fs->was_clean = clean;
	fs->root->references = 1;
	*result = fs;
	return 0;
}

long ext2_sync(struct ext2 *fs)
{
	if (fs->read_only)
		return 0;
	fs->super.write_time = (u32)(time_of_day() / NS_PER_SECOND);
	memcpy(fs->super_block->data + SUPER_OFFSET % fs->block_size, &fs->super, sizeof(fs->super));
	block_dirty(fs->super_block);
	return cache_flush(fs->cache);
}

/* The mark that it is clean comes last: behind everything else on the disk. */
long ext2_unmount(struct ext2 *fs)
{
	long error = ext2_sync(fs);
	if (!fs->read_only && !error && fs->was_clean) {
		fs->super.state |= EXT2_CLEAN;
		error = ext2_sync(fs);
	}
	fs->root->references = 0;
	ext2_reap(fs, false, 0);
	cache_free(fs->cache);
	kfree(fs);
	return error;
}

bool ext2_writable(const struct inode *inode) { return !inode->ext2->read_only; }

void ext2_statfs(const struct ext2 *fs, struct statfs *to)
{
	const struct ext2_super *super = &fs->super;
	to->type = EXT2_MAGIC;
	to->block_size = to->fragment_size = fs->block_size;
	to->blocks = super->blocks;
	to->free = super->free_blocks;
	to->available = super->free_blocks - MIN(super->free_blocks, super->reserved_blocks);
	to->files = super->inodes;
	to->free_files = super->free_inodes;
	to->id[0] = (u32)fs->device;
}
