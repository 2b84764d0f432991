/*
 * Disks: requests for sectors, and the cache of a disk's blocks (fs/block-cache.c). Callers are threads: what is not
 * there yet is waited for, by no signal interrupted.
 */
#ifndef DISK_H
#define DISK_H

#include "process.h"
#include "virtio.h"

#define SECTOR_SIZE 512U
enum { DISKS_MAX = 8, DISK_MAJOR = 254, DISK_MINORS = 16 };	/* /dev/vda is 254:0, /dev/vdb 254:16 (Linux's virtblk) */

struct disk {
	char name[4];			/* "vda" */
	u64 sectors;
	u32 sector_size;		/* bytes: the disk's own unit; requests are multiples of it */
	bool read_only, flushes;	/* flushes: it has a cache of its own */
	bool mounted;
	struct virtio_device device;
	struct virtq queue;
	struct list begun;		/* requests that the ring has no room for yet, or that were not sent yet */
	struct wait_queue waiters;
};

/* virtio_blk_req (Virtio 1.2, 5.2.6). In memory of kmalloc(): the device reads and writes it. */
struct disk_request {
	struct { u32 type, reserved; u64 sector; } header;
	u8 status;
	bool done;
	struct list link;
	void *data;			/* kmalloc's */
	u32 size;			/* bytes */
};
enum { DISK_READ = 0, DISK_WRITE = 1, DISK_FLUSH = 4 };

/* drivers/virtio-blk.c */
struct disk *disk_by_number(u64 device);	/* st_rdev; NULL: no such disk */
struct disk *disk_next(const struct disk *after);	/* NULL: the first; result NULL: no more */
/* Sent with the next wait for any request of the disk: so many can be under way at once. */
void disk_begin(struct disk *disk, struct disk_request *request, u32 type, u64 sector);
long disk_wait(struct disk *disk, struct disk_request *request);	/* 0, -EIO */

/* A block of a disk in memory. */
struct block {
	struct list order;		/* in the cache, least recently used first */
	struct block *next;		/* with the same hash */
	u64 number;
	u32 references;			/* who uses `data` now; a block without stays until its place is needed */
	bool valid, dirty, busy;	/* busy: the request is under way */
	u8 *data;
	struct disk_request request;
};

/* fs/block-cache.c. One thread at a time: under tree_lock(). */
struct block_cache *cache_create(struct disk *disk, u32 block_size);	/* NULL: no memory */
void cache_free(struct block_cache *cache);	/* what is dirty is lost */
/* Each gives a reference, for block_put(). -EIO, -ENOMEM. */
long block_read(struct block_cache *cache, u64 number, struct block **result);
long block_zeroed(struct block_cache *cache, u64 number, struct block **result);	/* dirty, without being read */
void block_put(struct block *block);		/* NULL does nothing */
static inline void block_dirty(struct block *block) { block->dirty = true; }
void block_prefetch(struct block_cache *cache, u64 number);	/* begins to read it, if it is not there */
void block_forget(struct block_cache *cache, u64 number);	/* its content is of no more use */
/* Everything dirty goes to the disk, and to its medium. -EIO: some of it, now or since the last call, did not. */
long cache_flush(struct block_cache *cache);

#endif
