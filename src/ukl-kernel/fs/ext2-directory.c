/*
 * Directories: files of entries, of which none crosses a block's end. An entry's size leads to the next; what was
 * removed is room behind the entry before it, or an entry without an inode. Hash trees (dir_index) look like that too
 * to whoever does not know them; a change makes the directory an ordinary one.
 */
#include "ext2.h"

enum { ENTRY_HEAD = 8 };

/* Entries' types (Linux's include/linux/fs_types.h), by the upper four bits of an inode's mode. */
static const u8 types[16] = { [1] = 5, [2] = 3, [4] = 2, [6] = 4, [8] = 1, [10] = 7, [12] = 6 };
static u8 type_of(const struct ext2 *fs, u32 mode) { return fs->file_types ? types[mode >> 12] : 0; }

static u32 size_for(u32 name_length) { return ALIGN_UP(ENTRY_HEAD + name_length, 4); }

/* The directory's block `index`, all of whose entries lie in it. -ENOENT: behind the end. */
static long directory_block(struct ext2_node *directory, u64 index, struct block **block)
{
	struct ext2 *fs = directory->inode.ext2;
	u32 number, size = fs->block_size;
	bool fresh;
	if (index * size >= directory->inode.size)
		return -ENOENT;
	TRY(ext2_map(directory, index, false, &number, &fresh));
	if (!number)
		return -EIO;
	TRY(block_read(fs->cache, number, block));
	for (u32 at = 0; at < size;) {
		const struct ext2_entry *entry = (struct ext2_entry *)((*block)->data + at);
		if (entry->size % 4 || entry->size < size_for(0) || entry->size > size - at ||
		    (entry->inode && size_for(entry->name_length) > entry->size)) {
			block_put(*block);
			return -EIO;
		}
		at += entry->size;
	}
	return 0;
}

static struct ext2_entry *next_entry(const struct block *block, u32 block_size, const struct ext2_entry *entry)
{
	u8 *next = (u8 *)entry + entry->size;
	return next < block->data + block_size ? (struct ext2_entry *)next : NULL;
}

long ext2_find(struct ext2_node *directory, const char *name, struct ext2_place *at)
{
	u32 length = strlen(name), block_size = directory->inode.ext2->block_size;
	for (u64 index = 0;; index++) {
		TRY(directory_block(directory, index, &at->block));
		at->before = NULL;
		for (at->entry = (struct ext2_entry *)at->block->data; at->entry;) {
			struct ext2_entry *entry = at->entry;
			if (entry->inode && entry->name_length == length && !memcmp(entry->name, name, length))
				return 0;
			at->before = entry;
			at->entry = next_entry(at->block, block_size, entry);
		}
		block_put(at->block);
	}
}

/* The entry is in the file system's cache now; the directory's times and flags follow. */
static long changed(struct ext2_node *directory)
{
	directory->raw.flags &= ~FLAG_INDEX;
	directory->inode.modified = time_of_day();
	return ext2_store(directory);
}

static void fill(struct ext2_entry *entry, const char *name, const struct ext2_node *node)
{
	entry->inode = (u32)node->inode.number;
	entry->name_length = strlen(name);
	entry->type = type_of(node->inode.ext2, node->inode.mode);
	memcpy(entry->name, name, entry->name_length);
}

/* Into the room behind an entry, or of one without an inode. */
static bool fill_room(struct block *block, u32 block_size, const char *name, const struct ext2_node *node)
{
	struct ext2_entry *entry = (struct ext2_entry *)block->data;
	u32 needed = size_for(strlen(name));
	for (; entry; entry = next_entry(block, block_size, entry)) {
		u32 used = entry->inode ? size_for(entry->name_length) : 0;
		if (entry->size - used < needed)
			continue;
		u32 room = entry->size - used;
		if (used) {
			entry->size = used;
			entry = next_entry(block, block_size, entry);
			entry->size = room;
		}
		fill(entry, name, node);
		block_dirty(block);
		return true;
	}
	return false;
}

/* One block more at the end, as one empty entry. */
static long grow(struct ext2_node *directory, struct block **block)
{
	struct ext2 *fs = directory->inode.ext2;
	u32 number;
	bool fresh;
	long error = ext2_map(directory, block_number(directory->inode.size, fs), true, &number, &fresh);
	if (!error)
		error = block_zeroed(fs->cache, number, block);
	if (error) {
		ext2_shrink(directory, directory->inode.size);
		ext2_store(directory);
		return error;
	}
	((struct ext2_entry *)(*block)->data)->size = fs->block_size;
	directory->inode.size += fs->block_size;
	return 0;
}

long ext2_add(struct ext2_node *directory, const char *name, struct ext2_node *node)
{
	u32 block_size = directory->inode.ext2->block_size;
	struct block *block;
	bool done = false;
	long error = 0;
	if (!directory->raw.links)
		return -ENOENT;			/* it was removed */
	for (u64 index = 0; !done && !error; index++) {
		error = directory_block(directory, index, &block);
		if (error == -ENOENT)
			error = grow(directory, &block);
		if (!error) {
			done = fill_room(block, block_size, name, node);
			block_put(block);
		}
	}
	return error ?: changed(directory);
}

long ext2_remove(struct ext2_node *directory, struct ext2_place *at)
{
	if (at->before)
		at->before->size += at->entry->size;
	else
		at->entry->inode = 0;
	block_dirty(at->block);
	block_put(at->block);
	return changed(directory);
}

void ext2_replace(struct ext2_node *directory, struct ext2_place *at, struct ext2_node *node)
{
	at->entry->inode = (u32)node->inode.number;
	at->entry->type = type_of(node->inode.ext2, node->inode.mode);
	block_dirty(at->block);
	block_put(at->block);
	changed(directory);
}

long ext2_begin_directory(struct ext2_node *node, struct ext2_node *parent)
{
	u32 block_size = node->inode.ext2->block_size;
	struct block *block;
	TRY(grow(node, &block));
	fill_room(block, block_size, ".", node);
	fill_room(block, block_size, "..", parent);
	block_put(block);
	return ext2_store(node);
}

long ext2_is_empty(struct ext2_node *directory)
{
	u32 block_size = directory->inode.ext2->block_size;
	struct block *block;
	for (u64 index = 0;; index++) {
		long error = directory_block(directory, index, &block);
		if (error)
			return error == -ENOENT ? 0 : error;
		bool empty = true;
		struct ext2_entry *entry = (struct ext2_entry *)block->data;
		for (; entry; entry = next_entry(block, block_size, entry)) {
			bool dots = entry->name[0] == '.' && (entry->name_length == 1 ||
							      (entry->name_length == 2 && entry->name[1] == '.'));
			empty &= !entry->inode || dots;
		}
		block_put(block);
		if (!empty)
			return -ENOTEMPTY;
	}
}

/* Copies an entry out; 1: no room for it. */
static long list_entry_to(const struct ext2_entry *entry, u64 next, void *to, size_t room, size_t *used)
{
	static const u8 linux_types[8] = { 0, 8, 4, 2, 6, 1, 12, 10 };	/* d_type: the upper four bits of the mode */
	struct { struct directory_record head; char name[NAME_MAX + 9]; } record = { .head = { .inode = entry->inode } };
	size_t size = ALIGN_UP(sizeof(struct directory_record) + entry->name_length + 1, 8);
	if (size > room - *used)
		return 1;
	record.head.next = next;
	record.head.size = size;
	record.head.type = linux_types[entry->type & 7];
	memcpy(record.name, entry->name, entry->name_length);
	TRY(copy_to_user(to + *used, &record, size));
	*used += size;
	return 0;
}

/* The position is the next entry's place. If entries were joined meanwhile, it may lie within one: then the next. */
long ext2_getdents(struct file *file, void *to, size_t size)
{
	struct ext2_node *directory = node_of(file->inode);
	u32 block_size = file->inode->ext2->block_size;
	struct block *block;
	size_t used = 0;
	long result = 0;
	while (!result) {
		u64 start = ALIGN_DOWN(file->position, block_size);
		result = directory_block(directory, start / block_size, &block);
		if (result)
			break;
		struct ext2_entry *entry = (struct ext2_entry *)block->data;
		for (; entry && !result; entry = next_entry(block, block_size, entry)) {
			u64 at = start + ((u8 *)entry - block->data);
			if (at < file->position)
				continue;
			if (entry->inode)
				result = list_entry_to(entry, at + entry->size, to, size, &used);
			if (!result)
				file->position = at + entry->size;
		}
		if (!result)
			file->position = start + block_size;
		block_put(block);
	}
	return used || result == -ENOENT ? (long)used : result == 1 ? -EINVAL : result;
}
