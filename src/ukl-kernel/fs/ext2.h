/*
 * The ext2 file system, revision 0 and 1, without a journal: what lies on the disk (Linux's fs/ext2/ext2.h; Poirier, The
 * Second Extended File System), and what the files fs/ext2-*.c tell each other. All of it runs under tree_lock(), one
 * thread at a time. Errors are negative errno values; -EIO also stands for what cannot be on a sound disk.
 */
#ifndef EXT2_H
#define EXT2_H

#include "disk.h"
#include "internal.h"

struct ext2_super {
	u32 inodes, blocks, reserved_blocks, free_blocks, free_inodes, first_data_block, log_block_size, log_fragment_size;
	u32 blocks_per_group, fragments_per_group, inodes_per_group, mount_time, write_time;
	u16 mounts, mounts_maximum, magic, state, errors, minor_revision;
	u32 check_time, check_interval, creator, revision;
	u16 default_uid, default_gid;
	u32 first_inode;			/* from here on: revision 1 */
	u16 inode_size, group;
	u32 compatible, incompatible, read_only_compatible;
};
struct ext2_group {
	u32 block_bitmap, inode_bitmap, inode_table;
	u16 free_blocks, free_inodes, directories, pad;
	u32 reserved[3];
};
enum { DIRECT = 12, LEVELS = 3, SLOTS = DIRECT + LEVELS };	/* pointers of an inode: to blocks, to blocks of pointers */
struct ext2_inode {
	u16 mode, uid;
	u32 size, accessed, changed, modified, deleted;
	u16 gid, links;
	u32 sectors;				/* of 512 bytes, with blocks of pointers */
	u32 flags, reserved1;
	u32 slots[SLOTS];			/* or the target of a short symbolic link, or a device number */
	u32 generation, attributes;		/* attributes: their block; 0: none */
	u32 size_high;				/* regular files */
	u32 fragment[2];
	u16 uid_high, gid_high;
	u32 reserved2;
	/* Where inodes are larger than 128 bytes (Linux's fs/ext4/ext4.h): nanoseconds << 2 | bits 33-32 of the seconds. */
	u16 extra_size, reserved3;
	u32 changed_extra, modified_extra, accessed_extra, rest[4];
};
#define INODE_SIZE_MIN 128U
struct ext2_entry { u32 inode; u16 size; u8 name_length, type; char name[]; };
_Static_assert(sizeof(struct ext2_group) == 32 && offsetof(struct ext2_inode, extra_size) == INODE_SIZE_MIN, "ext2.h");

enum {
	EXT2_MAGIC = 0xef53, EXT2_ROOT = 2, EXT2_CLEAN = 1, EXT2_LINKS_MAX = 32000,
	INCOMPATIBLE_FILE_TYPE = 2, READ_ONLY_SPARSE_SUPER = 1, READ_ONLY_LARGE_FILE = 2,
	FLAG_INDEX = 0x1000,
};

/* A mounted file system. */
struct ext2 {
	struct disk *disk;
	struct block_cache *cache;
	struct block *super_block;		/* referenced as long as it is mounted */
	struct ext2_super super;		/* what is to be written there: damage on the disk cannot change its sizes */
	u32 block_size, groups, inode_size, first_inode;
	u32 pointers;				/* in a block */
	u64 device;				/* st_dev */
	bool read_only, file_types;		/* file_types: directory entries tell them */
	bool was_clean;				/* and can be called so again */
	bool reap;				/* perhaps a node is to be deleted */
	struct list nodes;			/* by inode.link; the most recently used last */
	u32 node_count;
	struct inode *root, *covered;		/* covered: the directory in memory that it is mounted on; referenced */
	struct list link;			/* in the list of mounts */
};

/*
 * An inode in memory. `inode.references` counts users, not names, and children count as users of their directory, for
 * which they have a reference. Nodes that nobody uses stay, some of them, until tree_unlock() or their deletion.
 */
struct ext2_node {
	struct inode inode;
	struct ext2_inode raw;			/* mode, size, modified: as of the last ext2_store() */
	u32 goal;				/* where its next block should be; 0: in its group */
	u64 next_read, ahead;			/* behind the block that was read last; behind those begun to be read */
};
static inline struct ext2_node *node_of(struct inode *inode) { return container_of(inode, struct ext2_node, inode); }
static inline u64 block_number(u64 position, const struct ext2 *fs) { return position / fs->block_size; }

/* fs/ext2-mount.c */
long ext2_mount(struct disk *disk, bool read_only, struct ext2 **result);
long ext2_sync(struct ext2 *fs);
void ext2_statfs(const struct ext2 *fs, struct statfs *to);
long ext2_unmount(struct ext2 *fs);	/* nobody uses it; -EIO: unmounted, but not all could be written */

/* fs/ext2-allocate.c. Freeing what cannot be on the disk, or was free, is -EIO. */
long ext2_group(struct ext2 *fs, u32 number, struct block **block, struct ext2_group **group);	/* -> block_put() */
long ext2_block_allocate(struct ext2 *fs, u32 goal, u32 *number);
long ext2_block_free(struct ext2 *fs, u32 number);
long ext2_inode_allocate(struct ext2 *fs, u32 near, bool directory, u32 *number);
long ext2_inode_free(struct ext2 *fs, u32 number, bool directory);

/* fs/ext2-inode.c */
long ext2_node_get(struct ext2 *fs, u32 number, struct ext2_node **result);	/* no reference */
long ext2_node_create(struct ext2_node *directory, u32 mode, struct ext2_node **result);	/* on disk, with no name */
long ext2_store(struct ext2_node *node);	/* to the inode table, and changed just now */
void ext2_name(struct ext2_node *node, struct inode *directory, const char *name);	/* NULL: none is known */
/* Deletes what has neither names nor users (`all`: or names), and forgets nodes without users down to `keep`. */
void ext2_reap(struct ext2 *fs, bool all, u32 keep);

/* fs/ext2-map.c */
/* The number of a file's block; 0: a hole, but not with `create`. `fresh`: it was made, its content is anything. */
long ext2_map(struct ext2_node *node, u64 index, bool create, u32 *number, bool *fresh);
long ext2_shrink(struct ext2_node *node, u64 size);	/* gives back all blocks behind `size` bytes */

/* fs/ext2-file.c */
extern const struct file_operations ext2_operations;

/* fs/ext2-names.c */
long ext2_lookup(struct lookup *at);	/* at->inode is what the name is; NULL: nothing */
long ext2_link(struct inode *inode, struct lookup *at);

/* fs/ext2-directory.c. `at`: where an entry is, with its block. */
struct ext2_place { struct block *block; struct ext2_entry *entry, *before; };
long ext2_find(struct ext2_node *directory, const char *name, struct ext2_place *at);	/* -ENOENT; -> block_put() */
long ext2_add(struct ext2_node *directory, const char *name, struct ext2_node *node);
long ext2_remove(struct ext2_node *directory, struct ext2_place *at);	/* puts the block */
void ext2_replace(struct ext2_node *directory, struct ext2_place *at, struct ext2_node *node);	/* puts the block */
long ext2_begin_directory(struct ext2_node *node, struct ext2_node *parent);	/* `.` and `..` */
long ext2_is_empty(struct ext2_node *directory);	/* 0, -ENOTEMPTY */

#endif
