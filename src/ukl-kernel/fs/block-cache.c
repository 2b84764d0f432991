/*
 * Blocks of a disk in memory: written when their place is needed, or when somebody asks for it. Blocks are read and
 * written many at a time where their order allows it: requests begin together and are waited for one by one.
 */
#include "disk.h"
#include "internal.h"

enum { BLOCKS_MIN = 64, BLOCKS_MAX = 2048, HASHES = 512, BATCH = 64 };

struct block_cache {
	struct disk *disk;
	u32 block_size, sectors;		/* of a block */
	u64 block_count;			/* of the disk */
	u32 count, limit;			/* blocks there are and may be */
	struct list order;
	struct block *hashes[HASHES];
	bool write_error;			/* since the last flush */
};

struct block_cache *cache_create(struct disk *disk, u32 block_size)
{
	struct block_cache *cache = kmalloc(sizeof(*cache));
	if (!cache)
		return NULL;
	cache->disk = disk;
	cache->block_size = block_size;
	cache->sectors = block_size / SECTOR_SIZE;
	cache->block_count = disk->sectors / cache->sectors;
	/* A sixteenth of memory, as much as files in memory leave to programs. */
	cache->limit = MAX(MIN(pages_total() * PAGE_SIZE / 16 / block_size, (u64)BLOCKS_MAX), (u64)BLOCKS_MIN);
	list_init(&cache->order);
	return cache;
}

static struct block **hash(struct block_cache *cache, u64 number) { return &cache->hashes[number % HASHES]; }

static void unhash(struct block_cache *cache, struct block *block)
{
	struct block **link = hash(cache, block->number);
	while (*link && *link != block)
		link = &(*link)->next;
	if (*link)
		*link = block->next;
}

/* Waits for the block's request, if it has one. */
static long settle(struct block_cache *cache, struct block *block)
{
	if (!block->busy)
		return 0;
	long error = disk_wait(cache->disk, &block->request);
	block->busy = false;
	if (block->request.header.type == DISK_READ)
		block->valid = !error;
	else if (error)
		cache->write_error = true;	/* what was to be written stays in memory, and may be lost */
	return error;
}

static void begin(struct block_cache *cache, struct block *block, u32 type)
{
	block->busy = true;
	block->request.data = block->data;
	block->request.size = cache->block_size;
	disk_begin(cache->disk, &block->request, type, block->number * cache->sectors);
}

/* Writes the first dirty blocks of the list, at most `most`. */
static void write_back(struct block_cache *cache, u32 most)
{
	struct block *block;
	u32 count = 0;
	list_for_each(block, &cache->order, order) {
		if (block->dirty && !block->busy && count++ < most) {
			block->dirty = false;
			begin(cache, block, DISK_WRITE);
		}
	}
	list_for_each(block, &cache->order, order)
		if (block->busy && block->request.header.type == DISK_WRITE)
			settle(cache, block);
}

static struct block *block_create(struct block_cache *cache)
{
	struct block *block = kmalloc(sizeof(*block));
	u8 *data = block ? kmalloc(cache->block_size) : NULL;
	if (!data) {
		kfree(block);
		return NULL;
	}
	block->data = data;
	cache->count++;
	list_add_tail(&cache->order, &block->order);
	return block;
}

/* A block that nobody uses, not in a hash; NULL: no memory, and all are in use. */
static struct block *block_free_one(struct block_cache *cache)
{
	struct block *block = cache->count < cache->limit ? block_create(cache) : NULL, *old;
	if (block)
		return block;
	list_for_each(old, &cache->order, order) {
		if (old->references)
			continue;
		settle(cache, old);
		if (old->dirty)
			write_back(cache, BATCH);	/* the next places wanted are probably dirty too */
		unhash(cache, old);
		old->valid = false;
		return old;
	}
	return NULL;
}

static struct block *find(struct block_cache *cache, u64 number)
{
	struct block *block = *hash(cache, number);
	while (block && block->number != number)
		block = block->next;
	return block;
}

/* The block's place, last in the order; not valid if it was not there. No reference. */
static long place(struct block_cache *cache, u64 number, struct block **result)
{
	if (number >= cache->block_count)
		return -EIO;
	struct block *block = find(cache, number);
	if (!block) {
		block = block_free_one(cache);
		if (!block)
			return -ENOMEM;
		block->number = number;
		block->next = *hash(cache, number);
		*hash(cache, number) = block;
	}
	list_remove(&block->order);
	list_add_tail(&cache->order, &block->order);
	*result = block;
	return 0;
}

long block_read(struct block_cache *cache, u64 number, struct block **result)
{
	struct block *block;
	TRY(place(cache, number, &block));
	settle(cache, block);
	if (!block->valid) {
		begin(cache, block, DISK_READ);
		TRY(settle(cache, block));
	}
	block->references++;
	*result = block;
	return 0;
}

long block_zeroed(struct block_cache *cache, u64 number, struct block **result)
{
	struct block *block;
	TRY(place(cache, number, &block));
	settle(cache, block);
	memset(block->data, 0, cache->block_size);
	block->valid = block->dirty = true;
	block->references++;
	*result = block;
	return 0;
}

void block_put(struct block *block)
{
	if (block)
		block->references--;
}

void block_prefetch(struct block_cache *cache, u64 number)
{
	struct block *block;
	if (number >= cache->block_count || find(cache, number) || place(cache, number, &block))
		return;
	begin(cache, block, DISK_READ);
}

void block_forget(struct block_cache *cache, u64 number)
{
	struct block *block = find(cache, number);
	if (block)
		block->dirty = false;
}

long cache_flush(struct block_cache *cache)
{
	write_back(cache, ~0U);
	/* Few and far between: no room in the cache for it. */
	struct disk_request *request = cache->disk->flushes ? kmalloc(sizeof(*request)) : NULL;
	bool failed = cache->write_error || (cache->disk->flushes && !request);
	if (request) {
		disk_begin(cache->disk, request, DISK_FLUSH, 0);
		failed |= disk_wait(cache->disk, request) != 0;
		kfree(request);
	}
	cache->write_error = false;
	return failed ? -EIO : 0;
}

void cache_free(struct block_cache *cache)
{
	struct block *block, *after;
	list_for_each_safe(block, after, &cache->order, order) {
		settle(cache, block);
		kfree(block->data);
		kfree(block);
	}
	kfree(cache);
}
