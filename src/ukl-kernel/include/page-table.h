/* 4-level page tables (SDM vol. 3A 4.5). */
#ifndef PAGE_TABLE_H
#define PAGE_TABLE_H

#include "mm.h"

enum {
	PTE_PRESENT = 0x001, PTE_WRITE = 0x002, PTE_USER = 0x004, PTE_CACHE_DISABLE = 0x010, PTE_ACCESSED = 0x020,
	PTE_DIRTY = 0x040, PTE_LARGE = 0x080, PTE_GLOBAL = 0x100,
};
#define PTE_NO_EXECUTE	(1UL << 63)
#define PTE_ADDRESS	0x000ffffffffff000UL
/* Page-fault error code (SDM vol. 3A 4.7). */
enum { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4, FAULT_FETCH = 16 };

#define TABLE_SPAN	(2UL << 20)	/* what one page table maps */

#define BOOT_MAPPED	(1UL << 30)	/* what entry.S maps */

extern u64 kernel_pml4[512], kernel_pdpt[512], kernel_pd[512];

/* Maps all memory up to `end`, and the 4 GiB that hold the interrupt controllers, at DIRECT_MAP. */
void direct_map_extend(paddr_t end);
/* The entry for a page; `create`: makes missing tables. NULL: no table, or no memory for it. */
u64 *page_entry(struct space *space, vaddr_t address, bool create);
/* An entry for a page of a region with these REGION_ flags. */
u64 page_rights(paddr_t page, u32 flags);
/* The next page of [*at, end) that is there: its entry, with *at its address; NULL: none. */
u64 *page_next(struct space *space, vaddr_t *at, vaddr_t end);
bool page_tables_create(struct space *space);	/* false: no memory, and something to be freed */
void page_tables_free(struct space *space);	/* with all pages of the user half */
/* Forgets translations: of one page, or of all (of the whole user half). Of `space` if it is loaded. */
void tlb_flush_page(struct space *space, vaddr_t address);
void tlb_flush(struct space *space);

#endif
