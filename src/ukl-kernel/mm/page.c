/*
 * Page frames: the memory above 1 MiB that the boot loader's E820 table calls usable. Frames that were freed are a
 * list, linked through themselves. Those that nobody has used yet are not in it, so that starting with much memory
 * takes no longer than with little: they lie from `fresh` on.
 */
#include "arch.h"
#include "boot.h"
#include "image.h"
#include "mm.h"

#define MEMORY_START	0x100000UL	/* below: firmware, the boot loader's tables */
enum { RESERVED = 0xffff, HEAP = 0xff00 };

struct free_frame { struct free_frame *next; };

static u16 *references;		/* by frame number; 0: free, HEAP + n: the heap's, with its mark n */
static u64 frames;		/* numbers are below this one */
static u64 fresh, free_count, total_count;
static struct free_frame *freed;

static u64 frame_of(const void *at) { return direct_to_physical(at) / PAGE_SIZE; }

/* The first of `count` free frames in a row, from `from` on; `frames`: there are none. */
static u64 find(u64 from, u64 count)
{
	u64 row = 0;
	for (u64 frame = from; frame < frames; frame++) {
		row = references[frame] ? 0 : row + 1;
		if (row == count)
			return frame + 1 - count;
	}
	return frames;
}

/* Several in a row among those that were freed: rare and slow. */
static u64 take_freed(u64 count)
{
	u64 first = find(0, count);
	for (struct free_frame **link = &freed; first < frames && *link;) {
		if (frame_of(*link) - first < count)
			*link = (*link)->next;
		else
			link = &(*link)->next;
	}
	return first;
}

void *pages_alloc(u64 count)
{
	u64 flags = irq_save(), first;
	if (count == 1 && freed) {
		first = frame_of(freed);
		freed = freed->next;
	} else if (count == 1 && fresh < frames && !references[fresh]) {
		first = fresh++;
	} else {
		first = find(fresh, count);
		if (first == frames)
			first = take_freed(count);
		else if (count == 1 || first == fresh)
			fresh = first + count;	/* else the row in front is too short: kept for single frames */
	}
	if (first < frames) {
		for (u64 frame = first; frame < first + count; frame++)
			references[frame] = 1;
		free_count -= count;
	}
	irq_restore(flags);
	return first < frames ? direct(first * PAGE_SIZE) : NULL;
}

paddr_t page_alloc(void)
{
	void *page = pages_alloc(1);
	return page ? direct_to_physical(memset(page, 0, PAGE_SIZE)) : 0;
}

void page_ref(paddr_t page)
{
	u16 *count = &references[page / PAGE_SIZE];
	ASSERT(*count && *count < HEAP - 1);
	++*count;
}

void page_unref(paddr_t page)
{
	u64 flags = irq_save();
	u16 *count = &references[page / PAGE_SIZE];
	ASSERT(*count && *count < HEAP);
	if (--*count == 0) {
		struct free_frame *frame = direct(page);
		frame->next = freed;
		freed = frame;
		free_count++;
	}
	irq_restore(flags);
}

u32 page_references(paddr_t page) { return references[page / PAGE_SIZE]; }
void page_mark(void *page, u8 mark) { references[frame_of(page)] = HEAP + mark; }
u8 page_marked(const void *page) { return (u8)references[frame_of(page)]; }
u64 pages_free(void) { return free_count; }
u64 pages_total(void) { return total_count; }

/* Gives the frames from `first` up to `end`, or takes them away; one byte makes the two of 0 and of RESERVED. */
static void frames_set(u64 first, u64 end, bool usable)
{
	if (first >= end)
		return;
	memset(&references[first], usable ? 0 : 0xff, (end - first) * sizeof(*references));
	total_count += usable ? end - first : first - end;
}

void pages_init(const struct boot_params *boot)
{
	paddr_t image = (u64)load_start - KERNEL_BASE, image_end = (u64)bss_end - KERNEL_BASE, room = 0;
	for (int i = 0; i < boot->e820_count; i++) {
		const struct e820_entry *e = &boot->e820[i];
		if (e->type != E820_RAM)
			continue;
		frames = MAX(frames, (e->address + e->size) / PAGE_SIZE);
		if (image >= e->address && image < e->address + e->size)
			room = e->address + e->size;
	}
	/* Their table comes behind the image, or behind the ramdisk, if that is in the way. */
	paddr_t ramdisk = boot->ramdisk_image, ramdisk_end = ALIGN_UP(ramdisk + boot->ramdisk_size, PAGE_SIZE);
	u64 size = ALIGN_UP(frames * sizeof(*references), PAGE_SIZE);
	paddr_t table = ramdisk < image_end + size && ramdisk_end > image_end ? ramdisk_end : image_end;
	if (table + size > MIN(room, BOOT_MAPPED))
		panic(NULL, "no room for the table of page frames: %lu KB", size / 1024);
	references = memset(direct(table), 0xff, size);

	for (int i = 0; i < boot->e820_count; i++) {
		const struct e820_entry *e = &boot->e820[i];
		if (e->type == E820_RAM)
			frames_set(ALIGN_UP(MAX(e->address, MEMORY_START), PAGE_SIZE) / PAGE_SIZE,
				   (e->address + e->size) / PAGE_SIZE, true);
	}
	frames_set(image / PAGE_SIZE, image_end / PAGE_SIZE, false);
	frames_set(ramdisk / PAGE_SIZE, ramdisk_end / PAGE_SIZE, false);
	frames_set(table / PAGE_SIZE, (table + size) / PAGE_SIZE, false);
	free_count = total_count;
	/* The first frames are low: the boot loader's tables map those that this one takes. */
	direct_map_extend(frames * PAGE_SIZE);
}
