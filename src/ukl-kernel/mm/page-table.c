/* Page tables: the kernel's half, which all spaces share, the walk to one page's entry, and CR3. */
#include "arch.h"
#include "image.h"
#include "process.h"

#define ENTRIES		512
#define USER_ENTRIES	256	/* of a PML4: the lower half */
#define LARGE_PAGE	(2UL << 20)	/* what one page table maps */
#define PML4_DIRECT_MAP	(DIRECT_MAP >> 39 & 511)
#define GLOBAL		(KPTI ? 0 : PTE_GLOBAL)	/* KPTI: the kernel's translations must not outlive its CR3 */
#define PCID_KERNEL	1UL	/* CR3 bits 11-0 with PCID: the kernel's and the application's table */
#define PCID_USER	2UL
#define CR3_NO_FLUSH	(1UL << 63)

extern char zpoline_page[];

/* The space whose tables CR3 holds; NULL: the kernel's own, which has no user half. */
static struct space *loaded[PROCESSORS_MAX];
static bool pcid;
static u64 ring3_image_entry;		/* KPTI */

static u64 *table_at(u64 entry) { return direct(entry & PTE_ADDRESS); }

/* Maps the pages of [start, end), of the image, with tables that are made as needed. */
static void map_image(u64 *pml4, const char *start, const char *end, u64 rights)
{
	for (vaddr_t at = (vaddr_t)start; at < (vaddr_t)end; at += PAGE_SIZE) {
		u64 *table = pml4;
		for (u32 shift = 39; shift > 12; shift -= 9) {
			u64 *entry = &table[at >> shift & (ENTRIES - 1)];
			if (!*entry)
				*entry = page_alloc() | PTE_PRESENT | PTE_WRITE;
			table = table_at(*entry);
		}
		table[at >> 12 & (ENTRIES - 1)] = (at - KERNEL_BASE) | PTE_PRESENT | rights;
	}
}

/*
 * Entry 511 of a PML4, with the image: for the kernel code and constants read-only, and only code executable; for
 * the table that ring 3 runs on (KPTI) what it needs to come in.
 */
static u64 image_entry(bool ring3)
{
	u64 *pml4 = direct(page_alloc());
	if (ring3) {
		map_image(pml4, entry_text_start, entry_text_end, 0);
		map_image(pml4, entry_data_start, entry_data_end, PTE_WRITE | PTE_NO_EXECUTE);
		if (CONFIG_SMP)
			map_image(pml4, entry_bss_start, entry_bss_end, PTE_WRITE | PTE_NO_EXECUTE);
	} else {
		map_image(pml4, load_start, kernel_text_end, GLOBAL);
		map_image(pml4, kernel_text_end, entry_data_start, GLOBAL | PTE_NO_EXECUTE);
		map_image(pml4, entry_data_start, application_start, GLOBAL | PTE_WRITE | PTE_NO_EXECUTE);
		map_image(pml4, application_start, application_text_end, GLOBAL);
		map_image(pml4, (char *)ALIGN_UP((u64)application_text_end, PAGE_SIZE), application_data_start,
			  GLOBAL | PTE_NO_EXECUTE);
		map_image(pml4, application_data_start, bss_end, GLOBAL | PTE_WRITE | PTE_NO_EXECUTE);
	}
	u64 entry = pml4[ENTRIES - 1];
	page_unref(direct_to_physical(pml4));
	return entry;
}

void direct_map_extend(paddr_t end)
{
	/* The boot tables' PDPT also serves KERNEL_BASE (its entry 510): the direct map gets one of its own. */
	paddr_t pdpt = page_alloc();
	u64 *entries = direct(pdpt);
	entries[0] = kernel_pdpt[0];
	end = MAX(end, 4UL << 30);
	for (paddr_t giga = BOOT_MAPPED; giga < end; giga += 1UL << 30) {
		paddr_t pd = page_alloc();
		u64 *large = direct(pd);
		for (int i = 0; i < ENTRIES; i++)
			large[i] = (giga + i * LARGE_PAGE) | PTE_PRESENT | PTE_WRITE | PTE_LARGE | GLOBAL;
		entries[giga >> 30] = pd | PTE_PRESENT | PTE_WRITE;
	}
	kernel_pml4[PML4_DIRECT_MAP] = pdpt | PTE_PRESENT | PTE_WRITE;
	kernel_pml4[ENTRIES - 1] = image_entry(false);
	ring3_image_entry = KPTI ? image_entry(true) : 0;
	pcid = pcid_available();
	kernel_pml4[0] = 0;		/* null pointers fault from now on */
	write_cr3((u64)kernel_pml4 - KERNEL_BASE);
	for (int i = 0; i < ENTRIES; i++)	/* not before: the boot mapping of the image was the same table */
		kernel_pd[i] |= GLOBAL;
}

u64 *page_entry(struct space *space, vaddr_t address, bool create)
{
	u64 *table = direct(space->pml4);
	for (u32 shift = 39; shift > 12; shift -= 9) {
		u64 *entry = &table[address >> shift & (ENTRIES - 1)];
		if (!(*entry & PTE_PRESENT)) {
			paddr_t page = create ? page_alloc() : 0;
			if (!page)
				return NULL;
			*entry = page | PTE_PRESENT | PTE_WRITE | PTE_USER;
			if (shift == 39 && space->user_pml4)	/* KPTI: the lower levels serve both tables */
				((u64 *)direct(space->user_pml4))[address >> shift] = *entry;
		}
		table = table_at(*entry);
	}
	return &table[address >> 12 & (ENTRIES - 1)];
}

u64 *page_next(struct space *space, vaddr_t *at, vaddr_t end)
{
	for (; *at < end; *at += PAGE_SIZE) {
		u64 *entry = page_entry(space, *at, false);
		if (!entry)
			*at = ALIGN_DOWN(*at, LARGE_PAGE) + LARGE_PAGE - PAGE_SIZE;	/* no table: none of its pages */
		else if (*entry & PTE_ADDRESS)
			return entry;
	}
	return NULL;
}

bool page_tables_create(struct space *space)
{
	space->pml4 = page_alloc();
	space->user_pml4 = KPTI ? page_alloc() : 0;
	if (!space->pml4 || (KPTI && !space->user_pml4))
		return false;
	if (KPTI)
		((u64 *)direct(space->user_pml4))[ENTRIES - 1] = ring3_image_entry;
	u64 half = USER_ENTRIES * sizeof(u64);
	memcpy(direct(space->pml4) + half, kernel_pml4 + USER_ENTRIES, half);
#if LINK_MODE == LINK_ZPOLINE
	/* A page of the image, not of the page allocator: table_free leaves it alone. Not for ring 3. */
	u64 *entry = page_entry(space, 0, true);
	if (!entry)
		return false;
	*entry = ((u64)zpoline_page - KERNEL_BASE) | PTE_PRESENT;
#endif
	return true;
}

/* Pages mapped for the application (PTE_USER) are the space's; zpoline's page and the kernel's are not. */
static void table_free(paddr_t table, int level)
{
	u64 *entries = direct(table);
	for (int i = 0; i < ENTRIES; i++) {
		if (!(entries[i] & PTE_USER))
			continue;
		if (level > 0)
			table_free(entries[i] & PTE_ADDRESS, level - 1);
		else
			page_unref(entries[i] & PTE_ADDRESS);
	}
	page_unref(table);
}

void page_tables_free(struct space *space)
{
	if (space == loaded[processor_index()])
		space_switch(NULL);
	if (space->pml4)
		table_free(space->pml4, 3);
	if (space->user_pml4)
		page_unref(space->user_pml4);
}

/* Lies on a page that all tables map: nothing else of the kernel is translated with the application's PCID. */
static __attribute__((noinline, section(".entry_text"))) void flush_pcids(u64 user_cr3, u64 kernel_cr3)
{
	__asm__ volatile("pushfq; cli; movq %0, %%cr3; movq %1, %%cr3; popfq"
			 : : "r"(user_cr3), "r"(kernel_cr3) : "memory", "cc");
}

static void load(struct space *space)
{
	struct percpu *percpu = current_percpu();
	paddr_t kernel = space ? space->pml4 : (u64)kernel_pml4 - KERNEL_BASE, user = space ? space->user_pml4 : kernel;
	percpu->kernel_cr3 = kernel | (pcid ? PCID_KERNEL | CR3_NO_FLUSH : 0);
	percpu->user_cr3 = user | (pcid ? PCID_USER | CR3_NO_FLUSH : 0);
	/* Two PCIDs serve all processes, so a switch flushes both: a CR3 write without bit 63 does that. */
	if (PCID && pcid)
		flush_pcids(kernel | PCID_USER, kernel | PCID_KERNEL);
	else
		write_cr3(kernel);
}

void space_switch(struct space *space)
{
	if (space == loaded[processor_index()])
		return;
	loaded[processor_index()] = space;
	load(space);
}

void tlb_flush(struct space *space)
{
	if (space == loaded[processor_index()])
		load(space);
	flush_elsewhere(space, FLUSH_ALL);
}

void tlb_flush_page(struct space *space, vaddr_t address)
{
	if (pcid)
		tlb_flush(space);	/* INVLPG would reach the kernel's PCID only */
	else if (space == loaded[processor_index()])
		invlpg(address);
}

#if CONFIG_SMP
void tlb_flush_asked(vaddr_t address)
{
	if (pcid || address == FLUSH_ALL)
		load(loaded[processor_index()]);
	else
		invlpg(address);
}
#endif
