/* Packets in memory, and the Internet checksum. */
#include "internal.h"

/* Those of the usual size are kept when they are free: kmalloc would clear them. */
enum { USUAL = 2048, KEPT_MAX = 256, PACKETS_MAX = 8192 };

static struct list kept = LIST_INIT(kept);
static u32 kept_count, packet_count;

struct packet *packet_create(u32 size)
{
	u32 capacity = sizeof(struct packet) + PACKET_HEADROOM + size;
	struct packet *packet = NULL;
	if (packet_count >= PACKETS_MAX)
		return NULL;
	if (capacity <= USUAL && !list_empty(&kept)) {
		packet = list_entry(kept.next, struct packet, link);
		list_remove(&packet->link);
		kept_count--;
	} else {
		packet = kmalloc(MAX(capacity, (u32)USUAL));
		if (!packet)
			return NULL;
		packet->capacity = MAX(capacity, (u32)USUAL);
		list_init(&packet->link);
	}
	packet_count++;
	packet->data = packet->room + PACKET_HEADROOM;
	packet->size = size;
	packet->checked = false;
	return packet;
}

void packet_free(struct packet *packet)
{
	packet_count--;
	if (packet->capacity == USUAL && kept_count < KEPT_MAX) {
		list_add_tail(&kept, &packet->link);
		kept_count++;
	} else {
		kfree(packet);
	}
}

void *packet_push(struct packet *packet, u32 size)
{
	packet->data -= size;
	packet->size += size;
	packet->checksum_start += size;
	return packet->data;
}

/* Sums words of 8 bytes with their carries: it is the same sum (RFC 1071 1 and 2(C)), and so is its byte order. */
u16 checksum(const void *data, u32 size, u64 sum)
{
	const u8 *at = data;
	u64 tail = 0;
	for (; size >= 8; size -= 8, at += 8) {
		sum += *(const u64 *)at;
		sum += sum < *(const u64 *)at;
	}
	memcpy(&tail, at, size);
	sum += tail;
	sum += sum < tail;
	sum = (sum >> 32) + (u32)sum;
	sum = (sum >> 32) + (u32)sum;
	sum = (sum >> 16) + (u16)sum;
	sum = (sum >> 16) + (u16)sum;
	return (u16)~((sum >> 16) + (u16)sum);
}

u64 pseudo_sum(u32 source, u32 destination, u8 protocol, u32 size)
{
	return (u64)be32(source) + be32(destination) + be16(protocol) + be16((u16)size);
}

bool transport_check(const struct packet *packet, u32 source, u32 destination, u8 protocol)
{
	return packet->checked ||
	       checksum(packet->data, packet->size, pseudo_sum(source, destination, protocol, packet->size)) == 0;
}

long transport_output(struct packet *packet, u32 source, u32 destination, u8 protocol, u32 at)
{
	u64 pseudo = pseudo_sum(source, destination, protocol, packet->size);
	u16 sum;
	if (is_loopback(destination) || network.device->checksums) {
		packet->checked = true;
		packet->checksum_start = 0;
		packet->checksum_at = (u16)at;
		sum = (u16)~checksum(NULL, 0, pseudo);
	} else {
		sum = checksum(packet->data, packet->size, pseudo);
	}
	/* A UDP checksum of 0 would mean that there is none (RFC 768). */
	*(u16 *)(packet->data + at) = sum == 0 && protocol == IP_UDP ? 0xffff : sum;
	return ip_output(packet, source, destination, protocol);
}
