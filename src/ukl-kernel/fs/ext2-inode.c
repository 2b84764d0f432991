/* Inodes: those in memory, how they come from the inode table and go back, how they begin and end. */
#include "ext2.h"

enum { ATTRIBUTES_MAGIC = 0xea020000 };
struct ext2_attributes { u32 magic, references; };	/* the head of a block of extended attributes */

static u32 raw_size(const struct ext2 *fs) { return MIN(fs->inode_size, sizeof(struct ext2_inode)); }
static bool has_extra(const struct ext2 *fs, const struct ext2_inode *raw)
{
	return fs->inode_size > INODE_SIZE_MIN && raw->extra_size >= sizeof(*raw) - INODE_SIZE_MIN;
}

/* Seconds are signed, with the two bits beside the nanoseconds that make them last until 2446; without those, unsigned. */
static u32 seconds(u64 ns) { return (u32)(ns / NS_PER_SECOND); }
static u32 extra(u64 ns)
{
	s64 beyond = (s64)(ns / NS_PER_SECOND) - (s32)seconds(ns);
	return (u32)(ns % NS_PER_SECOND) << 2 | (beyond >> 32 & 3);
}
static u64 nanoseconds(u32 seconds, u32 extra)
{
	return ((s64)(s32)seconds + ((s64)(extra & 3) << 32)) * NS_PER_SECOND + (extra >> 2);
}

/* The inode's place in the table. */
static long table_entry(struct ext2 *fs, u32 number, struct block **block, struct ext2_inode **raw)
{
	u32 per_group = fs->super.inodes_per_group;
	u64 offset = (u64)((number - 1) % per_group) * fs->inode_size;
	struct ext2_group *group;
	TRY(ext2_group(fs, (number - 1) / per_group, block, &group));
	u64 at = group->inode_table + offset / fs->block_size;
	block_put(*block);
	TRY(block_read(fs->cache, at, block));
	*raw = (struct ext2_inode *)((*block)->data + offset % fs->block_size);
	return 0;
}

long ext2_store(struct ext2_node *node)
{
	struct inode *inode = &node->inode;
	struct ext2_inode *raw = &node->raw, *entry;
	struct block *block;
	raw->mode = (u16)inode->mode;
	raw->size = (u32)inode->size;
	if (S_ISREG(inode->mode))
		raw->size_high = inode->size >> 32;
	raw->modified = seconds(inode->modified);
	raw->changed = seconds(time_of_day());
	if (has_extra(inode->ext2, raw)) {
		raw->modified_extra = extra(inode->modified);
		raw->changed_extra = extra(time_of_day());
	}
	if (inode->size >> 31 && S_ISREG(inode->mode))
		inode->ext2->super.read_only_compatible |= READ_ONLY_LARGE_FILE;
	TRY(table_entry(inode->ext2, inode->number, &block, &entry));
	memcpy(entry, raw, raw_size(inode->ext2));
	block_dirty(block);
	block_put(block);
	return 0;
}

static struct ext2_node *node_new(struct ext2 *fs, u32 number, const struct ext2_inode *raw)
{
	struct ext2_node *node = kmalloc(sizeof(*node));
	if (!node)
		return NULL;
	memcpy(&node->raw, raw, raw_size(fs));
	struct inode *inode = &node->inode;
	inode->ext2 = fs;
	inode->number = number;
	inode->mode = raw->mode;
	inode->size = raw->size | (S_ISREG(raw->mode) ? (u64)raw->size_high << 32 : 0);
	inode->modified = has_extra(fs, raw) ? nanoseconds(raw->modified, raw->modified_extra) : raw->modified * NS_PER_SECOND;
	inode->operations = S_ISREG(raw->mode) ? &ext2_operations : S_ISDIR(raw->mode) ? &directory_operations : NULL;
	if (!S_ISREG(raw->mode) && !S_ISDIR(raw->mode) && !S_ISLNK(raw->mode))
		inode->device = raw->slots[0] ?: raw->slots[1];
	list_add_tail(&fs->nodes, &inode->link);
	fs->node_count++;
	return node;
}

static void node_free(struct ext2_node *node)
{
	ext2_name(node, NULL, NULL);
	list_remove(&node->inode.link);
	node->inode.ext2->node_count--;
	if (S_ISLNK(node->inode.mode))
		kfree(node->inode.target);
	kfree(node);
}

void ext2_name(struct ext2_node *node, struct inode *directory, const char *name)
{
	struct inode *inode = &node->inode, *old = inode->directory;
	char *copy = name ? kmalloc(strlen(name) + 1) : NULL;
	if (name && !copy)
		return;			/* the older one stays, for /proc/self/exe and getcwd only */
	if (name)
		memcpy(copy, name, strlen(name));
	if (directory)
		inode_ref(directory);
	kfree(inode->name);
	inode->name = copy;
	inode->directory = directory;
	if (old)
		inode_unref(old);
}

/* A target is in the inode if it fits, else in a block; blocks of attributes count among the sectors too. */
static long load_target(struct ext2_node *node)
{
	struct inode *inode = &node->inode;
	struct ext2 *fs = inode->ext2;
	struct block *block = NULL;
	u32 attributes = node->raw.attributes ? fs->block_size / SECTOR_SIZE : 0, number;
	const u8 *from = (u8 *)node->raw.slots;
	bool fresh, inside = node->raw.sectors <= attributes;
	if (inode->size >= (inside ? sizeof(node->raw.slots) : fs->block_size))
		return -EIO;
	if (!inside) {
		TRY(ext2_map(node, 0, false, &number, &fresh));
		TRY(block_read(fs->cache, number, &block));
		from = block->data;
	}
	inode->target = kmalloc(inode->size + 1);
	if (inode->target)
		memcpy(inode->target, from, inode->size);
	block_put(block);
	return inode->target ? 0 : -ENOMEM;
}

long ext2_node_get(struct ext2 *fs, u32 number, struct ext2_node **result)
{
	struct inode *inode;
	struct ext2_inode *raw;
	struct block *block;
	list_for_each(inode, &fs->nodes, link) {
		if (inode->number == number) {
			list_remove(&inode->link);
			list_add_tail(&fs->nodes, &inode->link);
			*result = node_of(inode);
			return 0;
		}
	}
	if (number > fs->super.inodes || (number < fs->first_inode && number != EXT2_ROOT))
		return -EIO;
	TRY(table_entry(fs, number, &block, &raw));
	*result = raw->links && raw->mode ? node_new(fs, number, raw) : NULL;
	long error = *result ? 0 : raw->links ? -ENOMEM : -EIO;
	block_put(block);
	if (!error && S_ISLNK((*result)->inode.mode))
		error = load_target(*result);
	if (error && *result)
		node_free(*result);
	return error;
}

long ext2_node_create(struct ext2_node *directory, u32 mode, struct ext2_node **result)
{
	struct ext2 *fs = directory->inode.ext2;
	struct ext2_inode *entry;
	struct block *block;
	u32 number, now = seconds(time_of_day());
	TRY(ext2_inode_allocate(fs, directory->inode.number, S_ISDIR(mode), &number));
	struct ext2_inode raw = { .mode = (u16)mode, .accessed = now, .changed = now, .modified = now,
				  .extra_size = sizeof(raw) - INODE_SIZE_MIN };
	long error = table_entry(fs, number, &block, &entry);
	if (!error) {
		raw.generation = entry->generation + 1;
		memset(entry, 0, fs->inode_size);	/* what follows the first 128 bytes is of the one before it */
		memcpy(entry, &raw, raw_size(fs));
		block_dirty(block);
		block_put(block);
		*result = node_new(fs, number, &raw);
		error = *result ? 0 : -ENOMEM;
	}
	if (error)
		ext2_inode_free(fs, number, S_ISDIR(mode));
	return error;
}

/* It stays in memory until the next call that has the lock: whoever was its last user may not wait. */
void ext2_unref(struct inode *inode) { inode->ext2->reap |= !node_of(inode)->raw.links; }

/* Blocks of attributes are shared by inodes with the same ones. */
static void release_attributes(struct ext2_node *node)
{
	struct ext2 *fs = node->inode.ext2;
	struct block *block;
	if (!node->raw.attributes || block_read(fs->cache, node->raw.attributes, &block))
		return;
	struct ext2_attributes *head = (struct ext2_attributes *)block->data;
	bool last = head->magic == ATTRIBUTES_MAGIC && head->references <= 1;
	if (head->magic == ATTRIBUTES_MAGIC)
		head->references -= !last;
	block_dirty(block);
	block_put(block);
	if (last)
		ext2_block_free(fs, node->raw.attributes);
	node->raw.attributes = node->raw.sectors = 0;
}

/* A file without names and users. If the disk fails, e2fsck finds the rest. */
static void delete(struct ext2_node *node)
{
	struct inode *inode = &node->inode;
	struct ext2 *fs = inode->ext2;
	u32 attributes = node->raw.attributes ? fs->block_size / SECTOR_SIZE : 0;
	bool blocks = S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode);
	long error = blocks && node->raw.sectors > attributes ? ext2_shrink(node, 0) : 0;
	release_attributes(node);
	inode->size = 0;
	node->raw.deleted = seconds(time_of_day());
	if (!ext2_store(node) && !error)
		ext2_inode_free(fs, inode->number, S_ISDIR(inode->mode));
	node_free(node);
}

void ext2_reap(struct ext2 *fs, bool all, u32 keep)
{
	struct inode *inode, *after;
	fs->reap = false;
	list_for_each_safe(inode, after, &fs->nodes, link)
		if (!node_of(inode)->raw.links && (all || !inode->references))
			delete(node_of(inode));
	/* A node's end may be the last use of its directory, which comes earlier or later in the list. */
	for (bool more = true; more && fs->node_count > keep;) {
		more = false;
		list_for_each_safe(inode, after, &fs->nodes, link) {
			if (fs->node_count > keep && !inode->references) {
				node_free(node_of(inode));
				more = true;
			}
		}
	}
}
