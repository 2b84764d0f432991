/* Page faults: the first access to a page brings it, the first write to a shared one copies it. */
#include "file.h"

u64 page_rights(paddr_t page, u32 flags)
{
	/* PROT_NONE: the page is kept, not present. */
	return page | PTE_USER | (flags & REGION_ACCESS ? PTE_PRESENT : 0) |
	       (flags & REGION_WRITE ? PTE_WRITE : 0) | (flags & REGION_EXECUTE ? 0 : PTE_NO_EXECUTE);
}

static bool allowed(u32 rights, u32 error)
{
	return rights & (error & FAULT_FETCH ? REGION_EXECUTE : error & FAULT_WRITE ? REGION_WRITE : REGION_ACCESS);
}

/* A new page with the region's content at `address`; 0: no memory, or the file cannot be read. */
static paddr_t page_with_content(const struct region *region, vaddr_t address)
{
	paddr_t page = page_alloc();
	u64 offset = region->offset + (address - region->start);
	if (!page || !region->file || offset >= region->file_end)
		return page;
	u64 size = MIN(PAGE_SIZE, region->file_end - offset);
	if (region->file->operations->read_kernel(region->file, direct(page), size, offset) < 0) {
		page_unref(page);
		return 0;
	}
	return page;
}

#if CONFIG_DISK
/*
 * As page_with_content(), which may wait for a disk here. Meanwhile another thread may have mapped something else, or
 * brought the page: then there is nothing to do, and what faulted tries again. False: no memory, or an I/O error.
 */
static bool wait_for_content(struct space *space, vaddr_t address, u64 *entry)
{
	struct region *region = space_region(space, address), before = *region;
	if (before.file)
		file_ref(before.file);
	paddr_t page = page_with_content(&before, address);
	region = space_region(space, address);
	bool same = region && region->file == before.file && region->file_end == before.file_end &&
		    region->offset - region->start == before.offset - before.start;
	if (before.file)
		file_unref(before.file);
	if (page && same && !(*entry & PTE_ADDRESS))
		*entry = page_rights(page, region->flags);
	else if (page)
		page_unref(page);
	return page != 0;
}
#endif

bool space_fault(struct space *space, vaddr_t address, u32 error)
{
	address = ALIGN_DOWN(address, PAGE_SIZE);
	struct region *region = space_region(space, address);
	if (!region || !allowed(region->flags, error))
		return false;
	u64 *entry = page_entry(space, address, true);
	if (!entry)
		return false;
	paddr_t page = *entry & PTE_ADDRESS;
	u32 rights = region->flags;
	bool moved = false;
#if CONFIG_DISK
	if (!page)
		return wait_for_content(space, address, entry);
#endif
	if (!page) {
		page = page_with_content(region, address);
		if (page)
			*entry = page_rights(page, rights);
		return page != 0;
	}
	if (page_references(page) > 1 && !(region->flags & REGION_SHARED)) {
		if (error & FAULT_WRITE) {
			paddr_t copy = page_alloc();
			if (!copy)
				return false;
			memcpy(direct(copy), direct(page), PAGE_SIZE);
			page_unref(page);
			page = copy;
			moved = true;
		} else {
			rights &= ~(u32)REGION_WRITE;	/* still shared: a later write copies it */
		}
	}
	*entry = page_rights(page, rights);
	tlb_flush_page(space, address);
	if (moved)		/* else there are only more rights: where they are missed, a fault comes here again */
		flush_elsewhere(space, address);
	return true;
}
