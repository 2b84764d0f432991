/* Virtio over PCI with split rings: Virtual I/O Device 1.2, sections in comments. */
#include "virtio.h"
#include "arch.h"
#include "errno.h"
#include "mm.h"

enum {
	VIRTIO_VENDOR = 0x1af4, MODERN_ID = 0x1040, TRANSITIONAL_ID = 0x1000,	/* 4.1.2 */
	/* struct virtio_pci_cap, by offset, and cfg_type (4.1.4). */
	CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_NOTIFY_MULTIPLIER = 16,
	CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4,
	/* 2.1 */
	ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, FAILED = 128,
	NO_VECTOR = 0xffff,
	DESC_NEXT = 1, DESC_WRITE = 2,		/* 2.7.5 */
	AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1,
	QUEUE_SIZE_MAX = 256,
};

struct virtio_common {			/* 4.1.4.3 */
	u32 device_feature_select, device_feature, driver_feature_select, driver_feature;
	u16 config_vector, queues;
	u8 status, generation;
	u16 queue_select, queue_size, queue_vector, queue_enable, queue_notify_offset;
	u32 queue_descriptors[2], queue_available[2], queue_used[2];	/* low and high words: 4.1.3.1 */
};
struct virtq_descriptor { u64 address; u32 size; u16 flags, next; };
struct virtq_available { u16 flags, index, ring[]; };
struct virtq_used { u16 flags, index; struct { u32 head, filled; } ring[]; };

/* What is at an address when the other side sees that something before it was written. */
static void barrier(void) { __asm__ volatile("mfence" : : : "memory"); }

static volatile void *map_structure(const struct pci_function *f, u32 at, u64 *size)
{
	*size = pci_read(f, at + CAP_LENGTH, 4);
	return pci_map(f, pci_read(f, at + CAP_BAR, 1), pci_read(f, at + CAP_OFFSET, 4), *size);
}

/* 4.1.4.1: of several structures of a type, the first that can be mapped. */
static void find_structures(struct virtio_device *d)
{
	const struct pci_function *f = &d->pci;
	u64 size;
	for (u32 at = 0; (at = pci_capability(f, CAPABILITY_VENDOR, at));) {
		u32 type = pci_read(f, at + CAP_TYPE, 1);
		if (type == CAP_COMMON && !d->common) {
			d->common = map_structure(f, at, &size);
		} else if (type == CAP_NOTIFY && !d->notify) {
			d->notify = map_structure(f, at, &size);
			d->notify_multiplier = pci_read(f, at + CAP_NOTIFY_MULTIPLIER, 4);
		} else if (type == CAP_DEVICE && !d->config) {
			d->config = map_structure(f, at, &d->config_size);
		}
	}
}

static void agree(struct virtio_device *d, u64 wanted)
{
	volatile struct virtio_common *common = d->common;
	d->features = 0;
	for (u32 half = 0; half < 2; half++) {
		common->device_feature_select = half;
		u32 both = common->device_feature & (u32)(wanted >> 32 * half);
		common->driver_feature_select = half;
		common->driver_feature = both;
		d->features |= (u64)both << 32 * half;
	}
}

/* 3.1.1, steps 1 to 6. */
long virtio_open(struct virtio_device *d, const struct pci_function *function, u64 wanted)
{
	*d = (struct virtio_device){ .pci = *function };
	pci_enable(function);
	find_structures(d);
	if (!d->common || !d->notify)
		return -ENODEV;
	d->common->status = 0;
	while (d->common->status)		/* 4.1.4.3.2: the reset is over when it reads 0 */
		__asm__ volatile("pause");
	d->common->status = ACKNOWLEDGE | DRIVER;
	agree(d, wanted | VIRTIO_F_VERSION_1);
	d->common->status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
	d->common->config_vector = NO_VECTOR;
	d->queue_count = d->common->queues;
	if (d->features & VIRTIO_F_VERSION_1 && d->common->status & FEATURES_OK)
		return 0;
	virtio_fail(d);
	return -EIO;
}

void virtio_start(struct virtio_device *d) { d->common->status |= DRIVER_OK; }
void virtio_fail(struct virtio_device *d) { d->common->status |= FAILED; }

/* Wide fields are read again if the device has changed them meanwhile (2.5.3). */
u64 virtio_config(const struct virtio_device *d, u32 offset, u32 size)
{
	if (!d->config || offset + size > d->config_size)
		return 0;
	const volatile u8 *at = d->config + offset;
	for (;;) {
		u8 generation = d->common->generation;
		u64 value = size == 1 ? *at : size == 2 ? *(volatile u16 *)at : *(volatile u32 *)at;
		if (size == 8)
			value |= (u64)*(volatile u32 *)(at + 4) << 32;
		if (generation == d->common->generation)
			return value;
	}
}

static void set_address(volatile u32 *words, volatile void *at)
{
	paddr_t address = direct_to_physical((void *)at);
	words[0] = (u32)address;
	words[1] = (u32)(address >> 32);
}

long virtio_queue_open(struct virtio_device *d, struct virtq *q, u16 index, u16 size, void (*handler)(void *),
		       void *argument)
{
	volatile struct virtio_common *common = d->common;
	common->queue_select = index;
	*q = (struct virtq){ .index = index, .size = MIN(MIN(common->queue_size, size), QUEUE_SIZE_MAX) };
	if (!q->size || q->size & (q->size - 1))
		return -ENODEV;
	/* kmalloc's memory is aligned to more than 2.7 asks for. */
	q->descriptors = kmalloc(q->size * sizeof(*q->descriptors));
	q->available = kmalloc(sizeof(*q->available) + (q->size + 1) * sizeof(u16));
	q->used = kmalloc(sizeof(*q->used) + q->size * sizeof(q->used->ring[0]) + sizeof(u16));
	q->cookies = kmalloc(q->size * sizeof(void *));
	if (!q->descriptors || !q->available || !q->used || !q->cookies)
		return -ENOMEM;
	for (u16 i = 0; i < q->size; i++)
		q->descriptors[i].next = i + 1;
	q->free_count = q->size;
	q->notify = (volatile u16 *)(d->notify + common->queue_notify_offset * d->notify_multiplier);
	common->queue_size = q->size;
	set_address(common->queue_descriptors, q->descriptors);
	set_address(common->queue_available, q->available);
	set_address(common->queue_used, q->used);
	if (!pci_interrupt(&d->pci, index, handler, argument))
		return -ENODEV;
	common->queue_vector = index;
	if (common->queue_vector != index)	/* 4.1.5.1.2.2: the device has no room for it */
		return -ENODEV;
	common->queue_enable = 1;
	return 0;
}

/* 2.7.13: descriptors, then the ring's entry, then its index. */
bool virtq_add(struct virtq *q, const struct virtio_buffer *buffers, u32 count, void *cookie)
{
	u16 head = q->free, at = head;
	if (!count || count > q->free_count)
		return false;
	for (u32 i = 0; i < count; i++) {
		volatile struct virtq_descriptor *d = &q->descriptors[at];
		d->address = direct_to_physical(buffers[i].at);
		d->size = buffers[i].size;
		d->flags = (buffers[i].fill ? DESC_WRITE : 0) | (i + 1 < count ? DESC_NEXT : 0);
		at = d->next;
	}
	q->free = at;
	q->free_count -= count;
	q->cookies[head] = cookie;
	q->available->ring[q->available->index % q->size] = head;
	barrier();
	q->available->index++;
	return true;
}

void virtq_notify(struct virtq *q)
{
	barrier();				/* 2.7.13.4.1: the index is seen before the flags are read */
	if (!(q->used->flags & USED_NO_NOTIFY))
		*q->notify = q->index;
}

void *virtq_take(struct virtq *q, u32 *filled)
{
	while (q->taken != q->used->index) {
		barrier();
		u32 head = q->used->ring[q->taken % q->size].head;
		*filled = q->used->ring[q->taken % q->size].filled;
		q->taken++;
		void *cookie = head < q->size ? q->cookies[head] : NULL;
		if (!cookie)
			continue;		/* no such request: a device's mistake must not become ours */
		q->cookies[head] = NULL;
		u16 last = head, count = 1;
		for (; q->descriptors[last].flags & DESC_NEXT; count++)
			last = q->descriptors[last].next;
		q->descriptors[last].next = q->free;
		q->free = head;
		q->free_count += count;
		return cookie;
	}
	return NULL;
}

void virtq_interrupts(struct virtq *q, bool wanted)
{
	q->available->flags = wanted ? 0 : AVAIL_NO_INTERRUPT;
	barrier();
}

/* Transitional devices number the old types from 0 (4.1.2.1 and 5): net is 0, block 1. */
static void probe(const struct pci_function *f)
{
	u32 type = f->device_id >= MODERN_ID ? f->device_id - MODERN_ID : f->device_id - TRANSITIONAL_ID + 1;
	if (f->vendor_id != VIRTIO_VENDOR)
		return;
#if CONFIG_DISK
	if (type == VIRTIO_BLOCK)
		virtio_block_probe(f);
#endif
#if CONFIG_NET
	if (type == VIRTIO_NET)
		virtio_net_probe(f);
#endif
}

void virtio_init(void) { pci_scan(probe); }
