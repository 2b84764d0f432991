/*
 * Virtio devices over PCI: the modern interface, with split rings (Virtual I/O Device 1.2, 2.7 and 4.1). A driver opens
 * the device with the features that it knows, then its queues, and starts it.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include "pci.h"

/* Device types (chapter 5), and features of all of them (chapter 6). */
enum { VIRTIO_NET = 1, VIRTIO_BLOCK = 2 };
#define VIRTIO_F_VERSION_1 (1UL << 32)

struct virtio_device {
	struct pci_function pci;
	u64 features;				/* that both sides have */
	u16 queue_count;
	volatile struct virtio_common *common;
	volatile u8 *config;			/* of the type; NULL: it has none */
	u64 config_size;
	volatile u8 *notify;
	u32 notify_multiplier;
};

/* What the device shall read or fill: memory of kmalloc() or of the page allocator. */
struct virtio_buffer { void *at; u32 size; bool fill; };

/*
 * A queue. All functions below are called with interrupts off, or before the device is started: the handler of the
 * queue's interrupt uses them too.
 */
struct virtq {
	u16 size;				/* descriptors: a power of two */
	u16 free, free_count;			/* descriptors that no chain holds, linked by `next` */
	u16 taken;				/* completions seen so far, modulo 65536 */
	volatile struct virtq_descriptor *descriptors;
	volatile struct virtq_available *available;
	volatile struct virtq_used *used;
	volatile u16 *notify;
	u16 index;				/* of the queue in the device */
	void **cookies;				/* by head of chain; NULL: not with the device */
};

/*
 * drivers/virtio.c. Finds the structures, resets the device and agrees on features: those of `wanted` that it has, and
 * VERSION_1, which it must have. 0, -ENODEV (no modern interface), -EIO (it does not agree).
 */
long virtio_open(struct virtio_device *device, const struct pci_function *function, u64 wanted);
/*
 * Makes queue `index` with at most `size` descriptors. Completions call handler(argument) with interrupts off, by the
 * MSI-X entry of the same number. 0, -ENODEV, -ENOMEM.
 */
long virtio_queue_open(struct virtio_device *device, struct virtq *queue, u16 index, u16 size,
		       void (*handler)(void *), void *argument);
void virtio_start(struct virtio_device *device);	/* DRIVER_OK */
void virtio_fail(struct virtio_device *device);		/* FAILED: given up */
/* A little-endian field of the configuration structure of 1, 2, 4 or 8 bytes; 0 where the structure has ended. */
u64 virtio_config(const struct virtio_device *device, u32 offset, u32 size);

/* One request: buffers that the device reads come first. False: there is no room now. The cookie is not NULL. */
bool virtq_add(struct virtq *queue, const struct virtio_buffer *buffers, u32 count, void *cookie);
void virtq_notify(struct virtq *queue);		/* once for all that were added before, if the device wants it */
/* The cookie of a request that is done, with the number of bytes filled; NULL: none for now. */
void *virtq_take(struct virtq *queue, u32 *filled);
/* Asks for no interrupts, or for them again: then virtq_take() is to be tried once more (2.7.7). */
void virtq_interrupts(struct virtq *queue, bool wanted);

/* Looks for all devices that the kernel has drivers for. */
void virtio_init(void);
void virtio_block_probe(const struct pci_function *function);	/* drivers/virtio-blk.c, with CONFIG_DISK */
void virtio_net_probe(const struct pci_function *function);	/* drivers/virtio-net.c, with CONFIG_NET */

#endif
