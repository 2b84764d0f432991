/* Registers of devices as memory. */
#include "arch.h"
#include "mm.h"
#include "pci.h"

#define ENTRIES		512
#define LARGE_PAGE	(2UL << 20)
#define PTE_UNCACHED	0x018UL			/* PCD, PWT: strong uncacheable (SDM vol. 3A 12.12.2) */
#define GLOBAL		(KPTI ? 0 : PTE_GLOBAL)	/* as in mm/page-table.c */

/*
 * The direct map covers memory and what lies below 4 GiB, cached. Firmware puts BARs anywhere: missing tables are made,
 * and the 2 MiB pages become uncached. There is no RAM in them: the host bridge's windows begin at larger boundaries.
 */
volatile void *mmio_map(paddr_t address, u64 size)
{
	if (!size || address >= KERNEL_BASE - DIRECT_MAP || size > LARGE_PAGE)
		return NULL;
	for (paddr_t page = ALIGN_DOWN(address, LARGE_PAGE); page < address + size; page += LARGE_PAGE) {
		vaddr_t at = (vaddr_t)direct(page);
		u64 *table = kernel_pml4;
		for (u32 shift = 39; shift > 21; shift -= 9) {
			u64 *entry = &table[at >> shift & (ENTRIES - 1)];
			paddr_t made = *entry ? 0 : page_alloc();
			if (!*entry && !made)
				return NULL;
			if (made)
				*entry = made | PTE_PRESENT | PTE_WRITE;
			table = direct(*entry & PTE_ADDRESS);
		}
		table[at >> 21 & (ENTRIES - 1)] =
			page | PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_UNCACHED | GLOBAL | PTE_NO_EXECUTE;
		invlpg(at);
	}
	return direct(address);
}
