/*
 * Address spaces: lists of regions, in the order of addresses. A region says what may be mapped; fault.c brings
 * the pages. Kernel code is not preempted, so the lists need no lock.
 */
#include "arch.h"
#include "file.h"

struct space *space_create(void)
{
	struct space *space = kmalloc(sizeof(*space));
	if (!space)
		return NULL;
	space->references = 1;
	list_init(&space->regions);
	if (page_tables_create(space))
		return space;
	space_unref(space);
	return NULL;
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
	struct region *region, *after;
	list_for_each_safe(region, after, &space->regions, link)
		region_free(region);
	page_tables_free(space);
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

long space_map(struct space *space, vaddr_t start, u64 size, u32 flags, struct file *file, u64 offset,
	       u64 file_bytes)
{
	vaddr_t end = start + size;
	if (!size || start % PAGE_SIZE || size % PAGE_SIZE || end < start || end > USER_TOP || start < USER_BOTTOM)
		return -EINVAL;
	struct region *next, *before;
	list_for_each(next, &space->regions, link)
		if (next->end > start)
			break;
	if (&next->link != &space->regions && next->start < end)
		return -EEXIST;
	/* Anonymous memory next to the same kind grows that region: heaps are built that way. */
	before = list_entry(next->link.previous, struct region, link);
	if (!file && &before->link != &space->regions && before->end == start && before->flags == flags &&
	    !before->file && !(flags & REGION_SHARED)) {
		before->end = end;
		return 0;
	}
	struct region region = { .start = start, .end = end, .flags = flags, .file = file, .offset = offset,
				 .file_end = offset + file_bytes };
	return region_new(&next->link, &region) ? 0 : -ENOMEM;
}

vaddr_t space_find(struct space *space, u64 size)
{
	vaddr_t top = space->mmap_top;
	for (struct list *link = space->regions.previous; link != &space->regions; link = link->previous) {
		struct region *region = list_entry(link, struct region, link);
		if (region->end <= top && top - region->end >= size)
			break;
		top = MIN(top, region->start);
	}
	return top >= USER_BOTTOM + size ? top - size : 0;
}

/* Makes `at` a boundary between regions. */
static bool split(struct space *space, vaddr_t at)
{
	struct region *region = space_region(space, at);
	if (!region || region->start == at)
		return true;
	struct region *second = region_new(region->link.next, region);
	if (!second)
		return false;
	second->start = region->end = at;
	second->offset += at - region->start;
	return true;
}

long space_unmap(struct space *space, vaddr_t start, u64 size)
{
	struct region *region, *after;
	if (!split(space, start) || !split(space, start + size))
		return -ENOMEM;
	space_quiesce(space, start, size);
	list_for_each_safe(region, after, &space->regions, link) {
		if (region->start < start || region->start >= start + size)
			continue;
		u64 *entry;
		for (vaddr_t at = region->start; (entry = page_next(space, &at, region->end)); *entry = 0)
			page_unref(*entry & PTE_ADDRESS);
		region_free(region);
	}
	tlb_flush(space);
	return 0;
}

long space_protect(struct space *space, vaddr_t start, u64 size, u32 flags)
{
	struct region *region;
	for (vaddr_t at = start; at < start + size; at = region->end)
		if (!(region = space_region(space, at)))
			return -ENOMEM;		/* all of it has to be mapped */
	if (!split(space, start) || !split(space, start + size))
		return -ENOMEM;
	list_for_each(region, &space->regions, link) {
		if (region->start < start || region->start >= start + size)
			continue;
		region->flags = (region->flags & ~REGION_ACCESS) | (flags & REGION_ACCESS);
		/* What is mapped only loses rights here; rights that it gained come with a fault. */
		u64 *entry;
		for (vaddr_t at = region->start; (entry = page_next(space, &at, region->end)); at += PAGE_SIZE)
			*entry = page_rights(*entry & PTE_ADDRESS, region->flags & ~REGION_WRITE);
	}
	tlb_flush(space);
	return 0;
}

/* Pages of private regions become read-only on both sides: the first write copies (fault.c). */
static bool region_fork(struct space *from, struct space *to, const struct region *region)
{
	u64 *entry;
	if (!region_new(&to->regions, region))
		return false;
	for (vaddr_t at = region->start; (entry = page_next(from, &at, region->end)); at += PAGE_SIZE) {
		u64 *copy = page_entry(to, at, true);
		if (!copy)
			return false;
		if (!(region->flags & REGION_SHARED))
			*entry &= ~(u64)PTE_WRITE;
		*copy = *entry;
		page_ref(*entry & PTE_ADDRESS);
	}
	return true;
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
		if (!region_fork(from, space, region)) {
			space_unref(space);
			space = NULL;
			break;
		}
	}
	tlb_flush(from);
	return space;
}
