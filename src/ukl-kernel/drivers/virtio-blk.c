/* Disks: virtio block devices (Virtio 1.2, 5.2), one queue each. */
#include "arch.h"
#include "disk.h"

#define FEATURE_RO		(1UL << 5)
#define FEATURE_BLK_SIZE	(1UL << 6)
#define FEATURE_FLUSH		(1UL << 9)
enum { CONFIG_CAPACITY = 0, CONFIG_BLK_SIZE = 20, STATUS_OK = 0, STATUS_NONE = 0xff, QUEUE_SIZE = 256 };

static struct disk disks[DISKS_MAX];
static u32 disk_count;

/* Hands the device as much as fits. Interrupts are off. */
static void send(struct disk *disk)
{
	bool sent = false;
	while (!list_empty(&disk->begun)) {
		struct disk_request *r = list_entry(disk->begun.next, struct disk_request, link);
		struct virtio_buffer buffers[3] = { { &r->header, sizeof(r->header), false } };
		u32 count = 1;
		if (r->size)
			buffers[count++] = (struct virtio_buffer){ r->data, r->size, r->header.type == DISK_READ };
		buffers[count++] = (struct virtio_buffer){ &r->status, 1, true };
		if (!virtq_add(&disk->queue, buffers, count, r))
			break;
		list_remove(&r->link);
		sent = true;
	}
	if (sent)
		virtq_notify(&disk->queue);
}

static void interrupt(void *argument)
{
	struct disk *disk = argument;
	struct disk_request *request;
	u32 filled;
	while ((request = virtq_take(&disk->queue, &filled)))
		request->done = true;
	send(disk);
	wake_all(&disk->waiters);
}

void disk_begin(struct disk *disk, struct disk_request *request, u32 type, u64 sector)
{
	u64 flags = irq_save();
	request->header.type = type;
	request->header.sector = sector;
	request->status = STATUS_NONE;
	request->done = false;
	list_add_tail(&disk->begun, &request->link);
	irq_restore(flags);
}

long disk_wait(struct disk *disk, struct disk_request *request)
{
	u64 flags = irq_save();
	send(disk);
	while (!*(volatile bool *)&request->done)
		wait_uninterrupted(&disk->waiters);
	irq_restore(flags);
	return *(volatile u8 *)&request->status == STATUS_OK ? 0 : -EIO;
}

struct disk *disk_next(const struct disk *after)
{
	u32 next = after ? after - disks + 1 : 0;
	return next < disk_count ? &disks[next] : NULL;
}

struct disk *disk_by_number(u64 device)
{
	u64 minor = device & 0xff;
	return device >> 8 == DISK_MAJOR && minor % DISK_MINORS == 0 && minor / DISK_MINORS < disk_count
		       ? &disks[minor / DISK_MINORS] : NULL;
}

void virtio_block_probe(const struct pci_function *function)
{
	if (disk_count == DISKS_MAX)
		return;
	struct disk *disk = &disks[disk_count];
	struct virtio_device *device = &disk->device;
	long error = virtio_open(device, function, FEATURE_RO | FEATURE_BLK_SIZE | FEATURE_FLUSH);
	if (!error)
		error = virtio_queue_open(device, &disk->queue, 0, QUEUE_SIZE, interrupt, disk);
	snprintf(disk->name, sizeof(disk->name), "vd%s", (char[]){ 'a' + disk_count, 0 });
	if (error) {
		printk("ukl-kernel: %s cannot be used: error %ld\n", disk->name, -error);
		return;
	}
	list_init(&disk->begun);
	wait_queue_init(&disk->waiters);
	disk->sectors = virtio_config(device, CONFIG_CAPACITY, 8);
	disk->sector_size = device->features & FEATURE_BLK_SIZE ? virtio_config(device, CONFIG_BLK_SIZE, 4) : SECTOR_SIZE;
	if (disk->sector_size < SECTOR_SIZE || disk->sector_size > PAGE_SIZE || disk->sector_size & (disk->sector_size - 1)) {
		printk("ukl-kernel: %s cannot be used: sectors of %u bytes\n", disk->name, disk->sector_size);
		virtio_fail(device);
		return;
	}
	disk->read_only = device->features & FEATURE_RO;
	disk->flushes = device->features & FEATURE_FLUSH;
	disk_count++;
	virtio_start(device);
}
