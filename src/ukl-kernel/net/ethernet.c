/* Ethernet frames, and the address resolution protocol (RFC 826) that finds whom to send them to. */
#include "internal.h"

struct arp_packet {
	u16 hardware, protocol;
	u8 hardware_size, protocol_size;
	u16 operation;
	u8 sender_mac[6];
	u32 sender;
	u8 target_mac[6];
	u32 target;
} __attribute__((packed));

enum {
	ARP_ETHERNET = 1, ARP_REQUEST = 1, ARP_REPLY = 2,
	NEIGHBOURS = 32,	/* the one used longest ago makes room */
	WAITING_MAX = 8,	/* packets that wait for an answer */
};
#define ARP_LIFE	(60 * NS_PER_SECOND)
#define ARP_AGAIN	NS_PER_SECOND	/* between questions for the same address */

struct neighbour {
	u32 address;
	u8 mac[6];
	bool known;
	u64 asked, learned, used;	/* time_now() */
	struct list waiting;
	u32 waiting_count;
};
static struct neighbour neighbours[NEIGHBOURS];

static const u8 everyone[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void frame_send(struct packet *packet, const u8 *to, u16 type)
{
	struct ethernet_header *header = packet_push(packet, sizeof(*header));
	memcpy(header->to, to, 6);
	memcpy(header->from, network.device->mac, 6);
	header->type = be16(type);
	network.device->send(packet);
}

static void arp_send(u16 operation, const u8 *to, u32 target)
{
	struct packet *packet = packet_create(sizeof(struct arp_packet));
	if (!packet)
		return;
	struct arp_packet *arp = (void *)packet->data;
	*arp = (struct arp_packet){
		.hardware = be16(ARP_ETHERNET), .protocol = be16(ETHERNET_IPV4), .hardware_size = 6, .protocol_size = 4,
		.operation = be16(operation), .sender = be32(network.address), .target = be32(target),
	};
	memcpy(arp->sender_mac, network.device->mac, 6);
	memcpy(arp->target_mac, operation == ARP_REQUEST ? (const u8[6]){} : to, 6);
	frame_send(packet, to, ETHERNET_ARP);
}

static struct neighbour *neighbour_find(u32 address)
{
	for (struct neighbour *n = neighbours; n < neighbours + NEIGHBOURS; n++)
		if (n->address == address && address)
			return n;
	return NULL;
}

static void waiting_drop(struct neighbour *neighbour)
{
	while (neighbour->waiting_count) {
		struct packet *packet = list_entry(neighbour->waiting.next, struct packet, link);
		list_remove(&packet->link);
		neighbour->waiting_count--;
		packet_free(packet);
	}
}

static struct neighbour *neighbour_make(u32 address)
{
	struct neighbour *oldest = neighbours;
	for (struct neighbour *n = neighbours; n < neighbours + NEIGHBOURS; n++)
		if (n->used < oldest->used)
			oldest = n;
	waiting_drop(oldest);
	*oldest = (struct neighbour){ .address = address, .used = time_now() };
	list_init(&oldest->waiting);
	return oldest;
}

void ethernet_output(struct packet *packet, u32 next_hop)
{
	u64 now = time_now();
	if (next_hop == BROADCAST || next_hop == (network.address | ~network.mask)) {
		frame_send(packet, everyone, ETHERNET_IPV4);
		return;
	}
	struct neighbour *neighbour = neighbour_find(next_hop) ?: neighbour_make(next_hop);
	neighbour->used = now;
	if (neighbour->known && now - neighbour->learned < ARP_LIFE) {
		frame_send(packet, neighbour->mac, ETHERNET_IPV4);
		return;
	}
	neighbour->known = false;
	if (neighbour->waiting_count < WAITING_MAX) {
		list_add_tail(&neighbour->waiting, &packet->link);
		neighbour->waiting_count++;
	} else {
		packet_free(packet);
	}
	if (!neighbour->asked || now - neighbour->asked >= ARP_AGAIN) {
		neighbour->asked = now;
		arp_send(ARP_REQUEST, everyone, next_hop);
	}
}

/* Learns from questions and answers that are for this machine, and of neighbours that it knows (RFC 826). */
static void arp_input(const struct packet *packet)
{
	const struct arp_packet *arp = (void *)packet->data;
	if (packet->size < sizeof(*arp) || arp->hardware != be16(ARP_ETHERNET) || arp->protocol != be16(ETHERNET_IPV4) ||
	    arp->hardware_size != 6 || arp->protocol_size != 4 || arp->sender_mac[0] & 1)
		return;
	u32 sender = be32(arp->sender);
	bool for_us = network.address && be32(arp->target) == network.address;
	bool usable = sender && sender != network.address && !((sender ^ network.address) & network.mask);
	struct neighbour *neighbour = usable ? neighbour_find(sender) : NULL;
	if (!neighbour && for_us && usable)
		neighbour = neighbour_make(sender);
	if (neighbour) {
		memcpy(neighbour->mac, arp->sender_mac, 6);
		neighbour->known = true;
		neighbour->learned = time_now();
		while (neighbour->waiting_count) {
			struct packet *waiting = list_entry(neighbour->waiting.next, struct packet, link);
			list_remove(&waiting->link);
			neighbour->waiting_count--;
			frame_send(waiting, neighbour->mac, ETHERNET_IPV4);
		}
	}
	if (for_us && arp->operation == be16(ARP_REQUEST))
		arp_send(ARP_REPLY, arp->sender_mac, sender);
}

void ethernet_receive(struct packet *frame)
{
	const struct ethernet_header *header = (void *)frame->data;
	if (frame->size < sizeof(*header) || (!(header->to[0] & 1) && memcmp(header->to, network.device->mac, 6)))
		return;
	frame->data += sizeof(*header);
	frame->size -= sizeof(*header);
	if (header->type == be16(ETHERNET_IPV4))
		ip_input(frame, false);
	else if (header->type == be16(ETHERNET_ARP))
		arp_input(frame);
}
