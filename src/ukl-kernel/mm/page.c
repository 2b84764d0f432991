/*
 * Page frames: a buddy allocator over the memory that the boot loader's E820 table calls usable, above 1 MiB.
 * A block of 2^order pages is free as a whole, or split in two halves, its buddies. Per page there is one
 * struct page, of which a block's first is the one that counts.
 */
#include "arch.h"
#include "boot.h"
#include "image.h"
#include "page-table.h"

#define ORDERS 11		/* blocks of up to 4 MiB */
#define MEMORY_START 0x100000UL	/* below: firmware, the boot loader's tables */

struct page {
	u16 references;		/* 0: free, or not the first of its block */
	u8 order;
	u8 use;			/* IN_USE, FREE, or what the heap marks its pages with */
};
enum { IN_USE = 0, FREE = 0xff };

static struct page *pages;	/* by frame number, for all memory up to memory_end */
static paddr_t memory_end;
static u64 free_count, total_count;
static struct list free_blocks[ORDERS];	/* linked through the free blocks themselves */

static struct page *page_of(paddr_t address) { return &pages[address / PAGE_SIZE]; }

static void block_free(paddr_t block, u32 order)
{
	free_count += 1UL << order;
	for (; order + 1 < ORDERS; order++) {
		paddr_t buddy = block ^ PAGE_SIZE << order;
		if (buddy >= memory_end || page_of(buddy)->use != FREE || page_of(buddy)->order != order)
			break;
		list_remove(direct(buddy));
		page_of(buddy)->use = IN_USE;
		block = MIN(block, buddy);
	}
	*page_of(block) = (struct page){ .order = (u8)order, .use = FREE };
	list_add_tail(&free_blocks[order], direct(block));
}

static paddr_t block_alloc(u32 order)
{
	u32 found = order;
	while (found < ORDERS && list_empty(&free_blocks[found]))
		found++;
	if (found == ORDERS)
		return 0;
	struct list *link = free_blocks[found].next;
	list_remove(link);
	paddr_t block = direct_to_physical(link);
	while (found > order) {
		found--;
		paddr_t half = block + (PAGE_SIZE << found);
		*page_of(half) = (struct page){ .order = (u8)found, .use = FREE };
		list_add_tail(&free_blocks[found], direct(half));
	}
	*page_of(block) = (struct page){ .references = 1, .order = (u8)order };
	free_count -= 1UL << order;
	return block;
}

void *pages_alloc(u32 order)
{
	if (order >= ORDERS)
		return NULL;
	u64 flags = irq_save();
	paddr_t block = block_alloc(order);
	irq_restore(flags);
	return block ? direct(block) : NULL;
}

void pages_free_block(void *at, u32 order)
{
	u64 flags = irq_save();
	paddr_t block = direct_to_physical(at);
	ASSERT(page_of(block)->references == 1 && page_of(block)->order == order);
	page_of(block)->references = 0;
	block_free(block, order);
	irq_restore(flags);
}

paddr_t page_alloc(void)
{
	void *page = pages_alloc(0);
	return page ? direct_to_physical(memset(page, 0, PAGE_SIZE)) : 0;
}

void page_ref(paddr_t page)
{
	ASSERT(page_of(page)->references && page_of(page)->references < 0xffff);
	page_of(page)->references++;
}

void page_unref(paddr_t page)
{
	u64 flags = irq_save();
	ASSERT(page_of(page)->references);
	if (--page_of(page)->references == 0)
		block_free(page, 0);
	irq_restore(flags);
}

void page_mark(void *page, u8 mark) { page_of(direct_to_physical(page))->use = mark; }
u8 page_marked(const void *page) { return page_of(direct_to_physical(page))->use; }
u32 block_order(const void *block) { return page_of(direct_to_physical(block))->order; }
u32 page_references(paddr_t page) { return page_of(page)->references; }
u64 pages_free(void) { return free_count; }
u64 pages_total(void) { return total_count; }

void pages_release(paddr_t start, paddr_t end)
{
	start = ALIGN_UP(start, PAGE_SIZE);
	end = ALIGN_DOWN(end, PAGE_SIZE);
	while (start < end) {
		u32 order = 0;
		while (order + 1 < ORDERS && start % (PAGE_SIZE << (order + 1)) == 0 &&
		       start + (PAGE_SIZE << (order + 1)) <= end)
			order++;
		block_free(start, order);
		total_count += 1UL << order;
		start += PAGE_SIZE << order;
	}
}

struct range { paddr_t start, end; };

/* Hands over [start, end) but for the reserved ranges. */
static void release_except(paddr_t start, paddr_t end, const struct range *reserved, int count)
{
	for (; count; reserved++, count--) {
		if (reserved->end <= start || reserved->start >= end)
			continue;
		if (reserved->start > start)
			release_except(start, reserved->start, reserved + 1, count - 1);
		start = MIN(reserved->end, end);
	}
	if (start < end)
		pages_release(start, end);
}

/* Where `size` bytes fit that overlap no reserved range: at the start of memory or after such a range. */
static paddr_t place(const struct boot_params *boot, u64 size, const struct range *reserved, int count)
{
	for (int i = 0; i < count; i++) {
		struct range wanted = { ALIGN_UP(reserved[i].end, PAGE_SIZE), ALIGN_UP(reserved[i].end, PAGE_SIZE) + size };
		bool fits = false;
		for (int k = 0; k < boot->e820_count; k++) {
			const struct e820_entry *e = &boot->e820[k];
			fits |= e->type == E820_RAM && wanted.start >= e->address && wanted.end <= e->address + e->size;
		}
		for (int k = 0; k < count; k++)
			fits &= wanted.end <= reserved[k].start || wanted.start >= reserved[k].end;
		if (fits)
			return wanted.start;
	}
	panic(NULL, "no room for the table of page frames: %lu KB", size / 1024);
}

void pages_init(const struct boot_params *boot)
{
	struct range reserved[] = {
		{ (u64)load_start - KERNEL_BASE, (u64)bss_end - KERNEL_BASE },
		{ ALIGN_DOWN((u64)boot->ramdisk_image, PAGE_SIZE),
		  ALIGN_UP((u64)boot->ramdisk_image + boot->ramdisk_size, PAGE_SIZE) },
		{ 0, MEMORY_START },
		{ 0, 0 },	/* the table of page frames */
	};
	for (int order = 0; order < ORDERS; order++)
		list_init(&free_blocks[order]);
	for (int i = 0; i < boot->e820_count; i++)
		if (boot->e820[i].type == E820_RAM)
			memory_end = MAX(memory_end, ALIGN_DOWN(boot->e820[i].address + boot->e820[i].size, PAGE_SIZE));

	u64 size = ALIGN_UP(memory_end / PAGE_SIZE * sizeof(struct page), PAGE_SIZE);
	paddr_t table = place(boot, size, reserved, ARRAY_SIZE(reserved) - 1);
	reserved[3] = (struct range){ table, table + size };
	pages = memset(direct(table), 0, size);

	/* What the boot page tables do not map has to wait until there are pages for tables. */
	for (int i = 0; i < boot->e820_count; i++) {
		const struct e820_entry *e = &boot->e820[i];
		if (e->type == E820_RAM && e->address < BOOT_MAPPED)
			release_except(e->address, MIN(e->address + e->size, BOOT_MAPPED), reserved, ARRAY_SIZE(reserved));
	}
	direct_map_extend(memory_end);
	for (int i = 0; i < boot->e820_count; i++) {
		const struct e820_entry *e = &boot->e820[i];
		if (e->type == E820_RAM && e->address + e->size > BOOT_MAPPED)
			release_except(MAX(e->address, BOOT_MAPPED), e->address + e->size, reserved, ARRAY_SIZE(reserved));
	}
}
