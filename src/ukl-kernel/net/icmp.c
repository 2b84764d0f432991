/* Control messages (RFC 792): answers echoes, tells of ports that nobody has, and hears of them. */
#include "internal.h"

struct icmp_header { u8 type, code; u16 checksum; u32 rest; } __attribute__((packed));
enum { ECHO_REPLY = 0, UNREACHABLE = 3, ECHO_REQUEST = 8, UNREACHABLE_PORT = 3 };

/* What is known of the packet that could not be delivered: its header and 8 bytes. */
struct undelivered { struct icmp_header icmp; struct ip_header ip; u8 start[8]; } __attribute__((packed));

static void send(struct packet *packet, u32 to)
{
	struct icmp_header *icmp = (void *)packet->data;
	icmp->checksum = 0;
	icmp->checksum = checksum(packet->data, packet->size, 0);
	ip_output(packet, ip_source(to), to, IP_ICMP);
}

void icmp_port_unreachable(const struct ip_header *ip)
{
	u32 to = be32(ip->source);
	struct packet *packet = packet_create(sizeof(struct undelivered));
	if (!packet)
		return;
	struct undelivered *message = (void *)packet->data;
	*message = (struct undelivered){ .icmp = { .type = UNREACHABLE, .code = UNREACHABLE_PORT }, .ip = *ip };
	memcpy(message->start, (const u8 *)ip + (ip->version_length & 15) * 4, sizeof(message->start));
	send(packet, to);
}

void icmp_input(struct packet *packet, const struct ip_header *ip)
{
	const struct icmp_header *icmp = (void *)packet->data;
	const struct undelivered *message = (void *)packet->data;
	if (packet->size < sizeof(*icmp) || checksum(packet->data, packet->size, 0) != 0)
		return;
	if (icmp->type == ECHO_REQUEST) {
		struct packet *reply = packet_create(packet->size);
		if (!reply)
			return;
		memcpy(reply->data, packet->data, packet->size);
		*(struct icmp_header *)reply->data = (struct icmp_header){ .type = ECHO_REPLY, .rest = icmp->rest };
		send(reply, be32(ip->source));
	} else if (icmp->type == UNREACHABLE && icmp->code == UNREACHABLE_PORT && packet->size >= sizeof(*message) &&
		   message->ip.version_length == 0x45 && message->ip.protocol == IP_UDP) {
		udp_refused(&message->ip, (const void *)message->start);
	}
}
