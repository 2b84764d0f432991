/*
 * The kernel's heap. Small objects are cut from pages by size class; a page stays with its class, and is marked
 * with it. Larger ones are blocks of the page allocator. So every object is aligned to its size.
 */
#include "arch.h"
#include "mm.h"

enum { CLASS_MIN = 5, CLASS_MAX = 11, PAGE_LOG2 = 12, LOG2_MAX = 22 };	/* 32 bytes, 2 KB; 4 KB; 4 MB */

struct object { struct object *next; };
static struct object *free_objects[CLASS_MAX + 1];

static void *small_alloc(u32 class)
{
	if (!free_objects[class]) {
		u8 *page = pages_alloc(0);
		if (!page)
			return NULL;
		page_mark(page, (u8)class);
		for (u64 at = 0; at < PAGE_SIZE; at += 1UL << class) {
			struct object *object = (struct object *)(page + at);
			object->next = free_objects[class];
			free_objects[class] = object;
		}
	}
	struct object *object = free_objects[class];
	free_objects[class] = object->next;
	return object;
}

void *kmalloc(size_t size)
{
	u32 log2 = CLASS_MIN;
	while (log2 <= LOG2_MAX && 1UL << log2 < size)
		log2++;
	if (log2 > LOG2_MAX)
		return NULL;
	u64 flags = irq_save();
	void *at = log2 <= CLASS_MAX ? small_alloc(log2) : pages_alloc(log2 - MIN(log2, (u32)PAGE_LOG2));
	irq_restore(flags);
	return at ? memset(at, 0, ALIGN_UP(size, 8)) : NULL;
}

void kfree(void *at)
{
	if (!at)
		return;
	u64 flags = irq_save();
	u32 class = page_marked(at);
	if (class) {
		ASSERT((u64)at % (1UL << class) == 0);
		struct object *object = at;
		object->next = free_objects[class];
		free_objects[class] = object;
	} else {
		pages_free_block(at, block_order(at));
	}
	irq_restore(flags);
}
