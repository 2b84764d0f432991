/*
 * Virtio network device (Virtual I/O Device 1.2, 5.1): one pair of queues, frames of up to 1514 bytes, checksums left
 * to the device. The queues are touched in threads only: the interrupt wakes the network's.
 */
#include "virtio.h"
#include "network.h"

#define F_CSUM		(1UL << 0)	/* 5.1.3 */
#define F_GUEST_CSUM	(1UL << 1)
#define F_MTU		(1UL << 3)
#define F_MAC		(1UL << 5)

enum {
	RECEIVE = 0, TRANSMIT = 1, QUEUE_SIZE = 256,
	CONFIG_MAC = 0, CONFIG_MTU = 10,
	NEEDS_CSUM = 1, DATA_VALID = 2,
};

struct virtio_net_header {		/* 5.1.6 */
	u8 flags, gso_type;
	u16 header_size, gso_size, checksum_start, checksum_offset, buffers;
};

static struct virtio_device device;
static struct virtq receiving, sending;

static void interrupt(void *argument)
{
	(void)argument;
	virtq_interrupts(&receiving, false);	/* until the thread has looked: poll() */
	virtq_interrupts(&sending, false);
	network_kick();
}

static bool post(struct packet *packet)
{
	struct virtio_buffer buffer = { packet->data, sizeof(struct virtio_net_header) + FRAME_MAX, true };
	return virtq_add(&receiving, &buffer, 1, packet);
}

/* A frame that is in one piece, and says so. */
static void receive(struct packet *packet, u32 filled)
{
	u8 *start = packet->data;
	const struct virtio_net_header *header = (void *)start;
	if (filled > sizeof(*header) && filled <= sizeof(*header) + FRAME_MAX) {
		packet->data += sizeof(*header);
		packet->size = filled - sizeof(*header);
		packet->checked = header->flags & (NEEDS_CSUM | DATA_VALID);
		ethernet_receive(packet);
	}
	packet->data = start;
	if (!post(packet))
		packet_free(packet);
}

static void take_sent(void)
{
	u32 filled;
	struct packet *packet;
	while ((packet = virtq_take(&sending, &filled)))
		packet_free(packet);
}

static bool take_received(void)
{
	struct packet *packet;
	u32 filled, count = 0;
	while (count < QUEUE_SIZE && (packet = virtq_take(&receiving, &filled))) {
		receive(packet, filled);
		count++;
	}
	if (count)
		virtq_notify(&receiving);
	return count > 0;
}

/* Interrupts go on again with nothing left to take. The transmit queue's come only when it is full. */
static void poll(void)
{
	static bool polling;		/* what is received may be answered: send() does not come here */
	if (polling)
		return;
	polling = true;
	bool more = take_received();
	take_sent();
	u64 flags = irq_save();
	virtq_interrupts(&receiving, true);
	virtq_interrupts(&sending, sending.free_count < QUEUE_SIZE / 4);
	irq_restore(flags);
	if (take_received() || more)
		take_sent();
	polling = false;
}

static bool can_send(void)
{
	if (sending.free_count < sending.size / 4)
		take_sent();
	if (sending.free_count)
		return true;
	virtq_interrupts(&sending, true);
	take_sent();
	return sending.free_count > 0;
}

static void send(struct packet *packet)
{
	struct virtio_net_header *header = (void *)(packet->data - sizeof(*header));
	*header = (struct virtio_net_header){};
	if (packet->checked) {
		header->flags = NEEDS_CSUM;
		header->checksum_start = packet->checksum_start;
		header->checksum_offset = packet->checksum_at;
	}
	struct virtio_buffer buffer = { header, sizeof(*header) + packet->size, false };
	if (!can_send() || !virtq_add(&sending, &buffer, 1, packet))
		packet_free(packet);
	else
		virtq_notify(&sending);
}

static struct network_device network_device = { .can_send = can_send, .send = send, .poll = poll };

void virtio_net_probe(const struct pci_function *function)
{
	if (device.common)
		return;			/* the stack knows one network */
	if (virtio_open(&device, function, F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC) ||
	    virtio_queue_open(&device, &receiving, RECEIVE, QUEUE_SIZE, interrupt, NULL) ||
	    virtio_queue_open(&device, &sending, TRANSMIT, QUEUE_SIZE, interrupt, NULL)) {
		printk("ukl-kernel: network device %02x:%02x.%d cannot be used\n", function->bus, function->device,
		       function->function);
		return;
	}
	for (u32 i = 0; i < 6; i++)
		network_device.mac[i] = device.features & F_MAC ? virtio_config(&device, CONFIG_MAC + i, 1)
								: (const u8[]){ 0x52, 0x54, 0, 0x12, 0x34, 0x56 }[i];
	u64 mtu = device.features & F_MTU ? virtio_config(&device, CONFIG_MTU, 2) : 1500;
	network_device.mtu = MAX(MIN(mtu, 1500UL), 68UL);
	network_device.checksums = device.features & F_CSUM;
	virtio_start(&device);
	for (u32 i = 0; i < receiving.size; i++) {
		struct packet *packet = packet_create(FRAME_MAX);
		if (packet)
			packet->data = packet->room;
		if (!packet || !post(packet))
			break;
	}
	virtq_notify(&receiving);
	network_device_register(&network_device);
}
