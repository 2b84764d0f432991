/*
 * Address spaces: lists of regions, in the order of addresses. A region says what may be mapped; fault.c brings
 * the pages. Kernel code is not preempted, so the lists need no lock.
 */
#include "arch.h"
#include "file.h"
#include "page-table.h"

#define MMAP_TOP	0x00007fff00000000UL	/* automatic mappings go below; the stack is above */

extern char zpoline_page[];

void space_init(void)
{
	space_switch(NULL);
}

struct space *space_create(void)
{
	struct space *space = kmalloc(sizeof(*space));
	if (!space)
		return NULL;
	space->references = 1;
	list_init(&space->regions);
	space->mmap_top = MMAP_TOP;
	space->pml4 = page_alloc();
	space->user_pml4 = KPTI ? user_pml4_create() : 0;
	if (!space->pml4 || (KPTI && !space->user_pml4)) {
		space_unref(space);
		return NULL;
	}
	u64 *pml4 = direct(space->pml4);
	for (int i = 256; i < 512; i++)
		pml4[i] = kernel_pml4[i];
#if LINK_MODE == LINK_ZPOLINE
	/* A page of the image, not of the page allocator: page_tables_free leaves it alone. Not for ring 3. */
	u64 *entry = page_entry(space, 0, true);
	if (entry)
		*entry = ((u64)zpoline_page - KERNEL_BASE) | PTE_PRESENT;
#endif
	return space;
}

void space_ref(struct space *space) { space->references++; }

static void region_free(struct region *region)
{
	list_remove(&region->link);
	if (region->file)
		file_unref(region->file);
	kfree(region);
}

void space_unref(struct space *space)
{
	if (--space->references)
		return;
	space_forget(space);
	struct region *region, *after;
	list_for_each_safe(region, after, &space->regions, link)
		region_free(region);
	if (space->pml4) {
		page_tables_free(space);
		page_unref(space->pml4);
	}
	if (space->user_pml4)
		page_unref(space->user_pml4);
	kfree(space);
}

struct region *space_region(struct space *space, vaddr_t address)
{
	struct region *region;
	list_for_each(region, &space->regions, link)
		if (address < region->end)
			return address >= region->start ? region : NULL;
	return NULL;
}

/* The first region that reaches beyond `start` (or the list's head as one). */
static struct region *region_from(struct space *space, vaddr_t start)
{
	struct region *region;
	list_for_each(region, &space->regions, link)
		if (region->end > start)
			break;
	return region;
}

static bool is_head(struct space *space, struct region *region) { return &region->link == &space->regions; }

/* A copy of `from`, in front of `before` in its list; it has its own reference to the file. */
static struct region *region_new(struct list *before, const struct region *from)
{
	struct region *region = kmalloc(sizeof(*region));
	if (!region)
		return NULL;
	*region = *from;
	if (region->file)
		file_ref(region->file);
	list_add_tail(before, &region->link);
	return region;
}

long space_map(struct space *space, vaddr_t start, u64 size, u32 flags, struct file *file, u64 offset, u64 file_bytes)
{
	vaddr_t end = start + size;
	if (!size || start % PAGE_SIZE || size % PAGE_SIZE || end < start || end > USER_TOP || start < USER_BOTTOM)
		return -EINVAL;
	struct region *next = region_from(space, start);
	if (!is_head(space, next) && next->start < end)
		return -EEXIST;
	/* Anonymous memory next to the same kind grows that region: heaps are built that way. */
	struct region *before = list_entry(next->link.previous, struct region, link);
	if (!file && !is_head(space, before) && before->end == start && before->flags == flags && !before->file &&
	    !(flags & REGION_SHARED)) {
		before->end = end;
		return 0;
	}
	struct region region = { .start = start, .end = end, .flags = flags, .file = file, .offset = offset,
				 .file_bytes = MIN(file_bytes, size) };
	return region_new(&next->link, &region) ? 0 : -ENOMEM;
}

vaddr_t space_find(struct space *space, u64 size)
{
	vaddr_t top = space->mmap_top;
	struct list *link = space->regions.previous;
	for (; link != &space->regions; link = link->previous) {
		struct region *region = list_entry(link, struct region, link);
		if (region->start >= top)
			continue;
		if (region->end <= top && top - region->end >= size)
			break;
		top = MIN(top, region->start);
	}
	return top >= USER_BOTTOM + size ? top - size : 0;
}

/* Makes `at` a boundary between regions. */
static long split(struct space *space, vaddr_t at)
{
	struct region *region = space_region(space, at);
	if (!region || region->start == at)
		return 0;
	struct region *second = region_new(region->link.next, region);
	if (!second)
		return -ENOMEM;
	u64 first_size = at - region->start;
	second->start = at;
	second->offset += first_size;
	second->file_bytes -= MIN(second->file_bytes, first_size);
	region->end = at;
	region->file_bytes = MIN(region->file_bytes, first_size);
	return 0;
}

static long split_both(struct space *space, vaddr_t start, u64 size)
{
	long error = split(space, start);
	return error ? error : split(space, start + size);
}

void pages_unmap(struct space *space, vaddr_t start, vaddr_t end)
{
	bool flush = false;
	for (vaddr_t at = start; at < end; at += PAGE_SIZE) {
		u64 *entry = page_entry(space, at, false);
		if (!entry) {
			at = ALIGN_DOWN(at, TABLE_SPAN) + TABLE_SPAN - PAGE_SIZE;	/* no table: none of its pages */
			continue;
		}
		if (!(*entry & PTE_ADDRESS))
			continue;
		page_unref(*entry & PTE_ADDRESS);
		*entry = 0;
		flush = true;
	}
	if (flush)
		tlb_flush(space);
}

long space_unmap(struct space *space, vaddr_t start, u64 size)
{
	long error = split_both(space, start, size);
	if (error)
		return error;
	struct region *region = region_from(space, start);
	while (!is_head(space, region) && region->start < start + size) {
		struct region *next = list_entry(region->link.next, struct region, link);
		pages_unmap(space, region->start, region->end);
		region_free(region);
		region = next;
	}
	return 0;
}

long space_protect(struct space *space, vaddr_t start, u64 size, u32 flags)
{
	/* All of it has to be mapped. */
	for (vaddr_t at = start; at < start + size;) {
		struct region *region = space_region(space, at);
		if (!region)
			return -ENOMEM;
		at = region->end;
	}
	long error = split_both(space, start, size);
	if (error)
		return error;
	const u32 access = REGION_READ | REGION_WRITE | REGION_EXECUTE;
	struct region *region = region_from(space, start);
	for (; !is_head(space, region) && region->start < start + size;
	     region = list_entry(region->link.next, struct region, link)) {
		region->flags = (region->flags & ~access) | (flags & access);
		/* What is mapped only loses rights here; rights that it gained come with a fault. */
		for (vaddr_t at = region->start; at < region->end; at += PAGE_SIZE) {
			u64 *entry = page_entry(space, at, false);
			if (!entry)
				at = ALIGN_DOWN(at, TABLE_SPAN) + TABLE_SPAN - PAGE_SIZE;
			else if (*entry & PTE_ADDRESS)
				*entry = page_rights(*entry & PTE_ADDRESS, region->flags & ~REGION_WRITE);
		}
	}
	tlb_flush(space);
	return 0;
}

/* Pages of private regions become read-only on both sides: the first write copies (fault.c). */
static long pages_share(struct space *from, struct space *to, const struct region *region)
{
	for (vaddr_t at = region->start; at < region->end; at += PAGE_SIZE) {
		u64 *entry = page_entry(from, at, false);
		if (!entry) {
			at = ALIGN_DOWN(at, TABLE_SPAN) + TABLE_SPAN - PAGE_SIZE;
			continue;
		}
		if (!(*entry & PTE_ADDRESS))
			continue;
		u64 *copy = page_entry(to, at, true);
		if (!copy)
			return -ENOMEM;
		if (!(region->flags & REGION_SHARED))
			*entry &= ~(u64)PTE_WRITE;
		*copy = *entry;
		page_ref(*entry & PTE_ADDRESS);
	}
	return 0;
}

struct space *space_fork(struct space *from)
{
	struct space *space = space_create();
	if (!space)
		return NULL;
	space->heap_start = from->heap_start;
	space->heap_end = from->heap_end;
	space->mmap_top = from->mmap_top;
	struct region *region;
	list_for_each(region, &from->regions, link) {
		if (!region_new(&space->regions, region) || pages_share(from, space, region)) {
			space_unref(space);
			space = NULL;
			break;
		}
	}
	tlb_flush(from);
	return space;
}
