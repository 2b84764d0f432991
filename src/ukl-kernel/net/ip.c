/*
 * The Internet protocol (RFC 791), as a host uses it: no forwarding, no fragments either way (transport protocols
 * find out what fits: RFC 9293 3.7.1), options of others are skipped. One network, one gateway.
 */
#include "internal.h"

/* Source addresses that no host has. */
static bool no_host(u32 address)
{
	return !address || address >> 28 >= 14 || (network.address && address == (network.address | ~network.mask));
}

void ip_input(struct packet *packet, bool local)
{
	const struct ip_header *ip = (void *)packet->data;
	u32 header = packet->size >= sizeof(*ip) ? (ip->version_length & 15) * 4U : 0;
	if (header < sizeof(*ip) || ip->version_length >> 4 != 4 || packet->size < header ||
	    checksum(ip, header, 0) != 0 || be16(ip->size) < header || be16(ip->size) > packet->size ||
	    be16(ip->fragment) & IP_FRAGMENT)
		return;
	u32 source = be32(ip->source), destination = be32(ip->destination);
	/* This machine's own addresses do not come from outside (RFC 1122 3.2.1.3). */
	if (!local && (is_own(source) || destination >> 24 == 127))
		return;
	packet->data += header;
	packet->size = be16(ip->size) - header;
	if (ip->protocol == IP_UDP)
		udp_input(packet, ip);		/* also before there is an address */
	else if (no_host(source) || !is_own(destination))
		return;
	else if (ip->protocol == IP_TCP)
		tcp_input(packet, ip);
	else if (ip->protocol == IP_ICMP)
		icmp_input(packet, ip);
}

u32 ip_source(u32 destination)
{
	if (is_own(destination))
		return destination;
	return network.device ? network.address : ANY_ADDRESS;
}

u32 ip_mtu(u32 destination) { return is_loopback(destination) ? 65535 : network.device->mtu; }

long ip_output(struct packet *packet, u32 source, u32 destination, u8 protocol)
{
	static u16 identification;
	bool local = is_own(destination), near = !((destination ^ network.address) & network.mask);
	u32 next_hop = destination == BROADCAST || near ? destination : network.gateway;
	long error = !local && (!network.device || !next_hop) ? -ENETUNREACH :
		     packet->size + sizeof(struct ip_header) > ip_mtu(destination) ? -EMSGSIZE : 0;
	if (error) {
		packet_free(packet);
		return error;
	}
	struct ip_header *ip = packet_push(packet, sizeof(*ip));
	*ip = (struct ip_header){
		.version_length = 0x45, .size = be16((u16)packet->size), .identification = be16(identification++),
		.fragment = be16(IP_DONT_FRAGMENT), .lives = IP_LIVES, .protocol = protocol, .source = be32(source),
		.destination = be32(destination),
	};
	ip->checksum = checksum(ip, sizeof(*ip), 0);
	if (local)
		loopback_send(packet);
	else
		ethernet_output(packet, next_hop);
	return 0;
}
