/* Memory: pages, the kernel's heap, address spaces, page tables, and access to an application's memory. */
#ifndef MM_H
#define MM_H

#include "lib.h"

#define PAGE_SIZE	4096UL
#define USER_BOTTOM	0x10000UL	/* below: null pointers, and the trampoline page of zpoline */
#define USER_TOP	0x00007fffffffe000UL	/* first address above user space */
#define DIRECT_MAP	0xffff888000000000UL	/* all of RAM, by 2 MiB pages */
#define KERNEL_BASE	0xffffffff80000000UL	/* physical 0: the image's mapping */

static inline void *direct(paddr_t address) { return (void *)(DIRECT_MAP + address); }
static inline paddr_t direct_to_physical(const void *at) { return (u64)at - DIRECT_MAP; }

/* mm/page.c: page frames with reference counts (shared by fork). */
struct boot_params;
void pages_init(const struct boot_params *boot);
void *pages_alloc(u64 count);		/* in a row, direct map; not zeroed, references 1; NULL if memory is used up */
void page_mark(void *page, u8 mark);	/* makes it the heap's, for good, with a number for its use */
u8 page_marked(const void *page);
paddr_t page_alloc(void);		/* one zeroed page, references 1; 0 if memory is used up */
void page_ref(paddr_t page);
void page_unref(paddr_t page);		/* frees the last */
u32 page_references(paddr_t page);
u64 pages_free(void);			/* in pages */
u64 pages_total(void);

/* mm/heap.c: any size; zeroed; NULL if memory is used up. */
void *kmalloc(size_t size);
void kfree(void *at);

/* Regions (VMAs): what may be mapped; pages come at the first access. */
struct file;
/* The first three are mprotect's PROT_READ, PROT_WRITE and PROT_EXEC too. */
enum { REGION_READ = 1, REGION_WRITE = 2, REGION_EXECUTE = 4, REGION_ACCESS = 7, REGION_SHARED = 8 };

struct region {
	struct list link;		/* in space.regions, by address */
	vaddr_t start, end;
	u32 flags;
	struct file *file;		/* referenced; NULL: zeroes */
	u64 offset, file_end;		/* in the file, of `start` and of the end of its bytes: zeroes from there */
};

/* An address space; processes made with CLONE_VM share one. */
struct space {
	u32 references;
	paddr_t pml4;			/* kernel half shared by all */
	paddr_t user_pml4;		/* KPTI: the table that ring 3 runs on, else 0 */
	struct list regions;
	vaddr_t heap_start, heap_end;	/* brk */
	vaddr_t mmap_top;		/* next automatic mapping goes below */
};

/* mm/space.c, fault.c. Errors are negative errno values. */
struct space *space_create(void);
struct space *space_fork(struct space *from);	/* copy on write */
void space_ref(struct space *space);
void space_unref(struct space *space);
long space_map(struct space *space, vaddr_t start, u64 size, u32 flags, struct file *file, u64 offset,
	       u64 file_bytes);			/* page-aligned, free range */
vaddr_t space_find(struct space *space, u64 size);	/* a free range for space_map; 0 if none */
long space_unmap(struct space *space, vaddr_t start, u64 size);
long space_protect(struct space *space, vaddr_t start, u64 size, u32 flags);
struct region *space_region(struct space *space, vaddr_t address);
/* Resolves a page fault (SDM vol. 3A 4.7 error code); false: the access is not allowed. */
bool space_fault(struct space *space, vaddr_t address, u32 error);
enum { FAULT_WRITE = 2, FAULT_FETCH = 16 };

/* mm/page-table.c: 4-level page tables (SDM vol. 3A 4.5). */
enum {
	PTE_PRESENT = 0x001, PTE_WRITE = 0x002, PTE_USER = 0x004, PTE_LARGE = 0x080, PTE_GLOBAL = 0x100,
};
#define PTE_NO_EXECUTE	(1UL << 63)
#define PTE_ADDRESS	0x000ffffffffff000UL
#define BOOT_MAPPED	(1UL << 30)	/* what boot/entry.S maps */
extern u64 kernel_pml4[512], kernel_pdpt[512], kernel_pd[512];
/* Maps at DIRECT_MAP all memory up to `end`, and the interrupt controllers (not cached, by firmware's MTRRs). */
void direct_map_extend(paddr_t end);
bool page_tables_create(struct space *space);	/* false: no memory, and something to be freed */
void page_tables_free(struct space *space);	/* with all pages of the user half */
/* The entry for a page; `create`: makes missing tables. NULL: no table, or no memory for it. */
u64 *page_entry(struct space *space, vaddr_t address, bool create);
/* The next page of [*at, end) that is there: its entry, with *at its address; NULL: none. */
u64 *page_next(struct space *space, vaddr_t *at, vaddr_t end);
u64 page_rights(paddr_t page, u32 flags);	/* an entry for a page of a region with these REGION_ flags */
void space_switch(struct space *space);		/* loads CR3 unless it is loaded */
/*
 * Forgets translations of `space`: of the whole user half, on all processors where it is loaded; of one page, on this
 * processor (flush_elsewhere() on the others).
 */
void tlb_flush_page(struct space *space, vaddr_t address);
void tlb_flush(struct space *space);
void tlb_flush_asked(vaddr_t address);	/* CONFIG_SMP: of what is loaded here, because another processor asks */

/* mm/user.c: 0 or -EFAULT. Any mapped address for RING0 processes, user space for RING3. */
long copy_from_user(void *to, const void *from, size_t size);
long copy_to_user(void *to, const void *from, size_t size);
long clear_user(void *at, size_t size);
/* Reads the kernel's memory where nothing may be mapped, for the backtrace. */
long kernel_read(void *to, vaddr_t from, size_t size);
long copy_string_from_user(char *to, const char *from, size_t size);	/* length, -EFAULT, -ENAMETOOLONG */

#endif
