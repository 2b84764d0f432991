/*
 * The kernel's heap: objects of 2^n bytes. Small ones are cut from pages, so that they are aligned to their size;
 * larger ones are pages in a row. Memory stays with its size class; a mark at its first page says which.
 */
#include "arch.h"
#include "mm.h"

enum { CLASS_MIN = 5, CLASS_MAX = 22 };	/* 32 bytes, 4 MB */

struct object { struct object *next; };
static struct object *free_objects[CLASS_MAX + 1];

static void push(void *at, u32 class)
{
	struct object *object = at;
	object->next = free_objects[class];
	free_objects[class] = object;
}

void *kmalloc(size_t size)
{
	u32 class = size <= 1UL << CLASS_MIN ? CLASS_MIN : 64 - (u32)__builtin_clzl(size - 1);
	if (class > CLASS_MAX)
		return NULL;
	u64 flags = irq_save(), bytes = MAX(1UL << class, PAGE_SIZE);
	void *page = free_objects[class] ? NULL : pages_alloc(bytes / PAGE_SIZE);
	if (page) {
		page_mark(page, (u8)class);
		for (u64 at = 0; at < bytes; at += 1UL << class)
			push(page + at, class);
	}
	struct object *object = free_objects[class];
	if (object)
		free_objects[class] = object->next;
	irq_restore(flags);
	return object ? memset(object, 0, ALIGN_UP(size, 8)) : NULL;
}

void kfree(void *at)
{
	if (!at)
		return;
	u64 flags = irq_save();
	u32 class = page_marked(at);
	ASSERT((u64)at % MIN(1UL << class, PAGE_SIZE) == 0);
	push(at, class);
	irq_restore(flags);
}
