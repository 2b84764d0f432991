/* Datagrams (RFC 768). */
#include "internal.h"

/* Bytes that a datagram in a queue counts for, beside its own: Linux counts its buffers too. */
enum { OVERHEAD = 256 };

/* The socket that a datagram to `to` is for: of several the one that says most about both ends. */
static struct socket *udp_find(u32 to, u16 port, u32 from, u16 from_port)
{
	struct socket *socket, *best = NULL;
	int best_score = -1;
	list_for_each(socket, &udp_sockets, link) {
		if (socket->local_port != port || (socket->local && socket->local != to) ||
		    (socket->remote_port && (socket->remote != from || socket->remote_port != from_port)))
			continue;
		int score = (socket->local != 0) + 2 * (socket->remote_port != 0);
		if (score > best_score) {
			best = socket;
			best_score = score;
		}
	}
	return best;
}

void udp_input(struct packet *packet, const struct ip_header *ip)
{
	const struct udp_header *udp = (void *)packet->data;
	u32 from = be32(ip->source), to = be32(ip->destination);
	if (packet->size < sizeof(*udp) || be16(udp->size) < sizeof(*udp) || be16(udp->size) > packet->size)
		return;
	packet->size = be16(udp->size);
	if (udp->checksum && !transport_check(packet, from, to, IP_UDP))
		return;
	u32 size = packet->size - sizeof(*udp);
	if (be16(udp->destination) == 68 && network.device && !is_own(from)) {
		dhcp_input(udp + 1, size);
		return;
	}
	bool broadcast = to == BROADCAST || (network.address && to == (network.address | ~network.mask));
	if ((!is_own(to) && !broadcast) || !from)
		return;
	struct socket *socket = udp_find(to, be16(udp->destination), from, be16(udp->source));
	if (!socket) {
		if (!broadcast)
			icmp_port_unreachable(ip);
		return;
	}
	if (socket->datagram_bytes + size + OVERHEAD > DATAGRAMS_MAX || !memory_charge(size + OVERHEAD))
		return;
	struct datagram *datagram = kmalloc(sizeof(*datagram) + size);
	if (!datagram) {
		memory_credit(size + OVERHEAD);
		return;
	}
	datagram->from = from;
	datagram->port = be16(udp->source);
	datagram->size = size;
	memcpy(datagram->bytes, udp + 1, size);
	list_add_tail(&socket->datagrams, &datagram->link);
	socket->datagram_bytes += size + OVERHEAD;
	socket_wake(socket);
}

/* The packet's first bytes are the header's. */
static long send(struct packet *packet, u32 source, u16 source_port, u32 to, u16 port)
{
	struct udp_header *udp = (void *)packet->data;
	*udp = (struct udp_header){
		.source = be16(source_port), .destination = be16(port), .size = be16((u16)packet->size),
	};
	return transport_output(packet, source, to, IP_UDP, offsetof(struct udp_header, checksum));
}

long udp_output(u32 source, u16 source_port, u32 to, u16 port, const void *data, u32 size)
{
	struct packet *packet = packet_create(sizeof(struct udp_header) + size);
	if (!packet)
		return -ENOBUFS;
	memcpy(packet->data + sizeof(struct udp_header), data, size);
	return send(packet, source, source_port, to, port);
}

long udp_send(struct socket *socket, const struct iovec *vectors, u32 count, u32 size, u32 to, u16 port)
{
	u32 source = socket->local ?: ip_source(to);
	if (to == BROADCAST && !socket->broadcast)
		return -EACCES;
	if (!source)
		return -ENETUNREACH;
	if (size + sizeof(struct udp_header) + sizeof(struct ip_header) > ip_mtu(to))
		return -EMSGSIZE;
	struct packet *packet = packet_create(sizeof(struct udp_header) + size);
	u8 *at = packet ? packet->data + sizeof(struct udp_header) : NULL;
	if (!packet)
		return -ENOBUFS;
	for (u32 i = 0; i < count; at += vectors[i++].size) {
		if (copy_from_user(at, vectors[i].base, vectors[i].size)) {
			packet_free(packet);
			return -EFAULT;
		}
	}
	TRY(send(packet, source, socket->local_port, to, port));
	return size;
}

void udp_refused(const struct ip_header *ip, const struct udp_header *udp)
{
	struct socket *socket = udp_find(be32(ip->source), be16(udp->source), be32(ip->destination),
					 be16(udp->destination));
	if (socket && socket->remote_port) {
		socket->error = ECONNREFUSED;
		socket_wake(socket);
	}
}

void udp_datagram_free(struct socket *socket, struct datagram *datagram)
{
	socket->datagram_bytes -= datagram->size + OVERHEAD;
	memory_credit(datagram->size + OVERHEAD);
	list_remove(&datagram->link);
	kfree(datagram);
}

void udp_close(struct socket *socket)
{
	while (!list_empty(&socket->datagrams))
		udp_datagram_free(socket, list_entry(socket->datagrams.next, struct datagram, link));
	socket_free(socket);
}
