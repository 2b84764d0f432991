/* Segments on their way out: what may be sent when (RFC 9293 3.8), acknowledgments, resets. */
#include "internal.h"

enum { OPTION_MSS = 2, OPTION_SCALE = 3, OPTION_NOP = 1 };

static bool any_stalled;

static bool may_send(const struct socket *socket)
{
	return is_loopback(socket->remote) || network.device->can_send();
}

/* Never less than the peer was told; when memory is short, no more than there is. */
u32 tcp_window(const struct socket *socket)
{
	u32 limit = memory_tight() ? MAX(socket->receive.capacity, (u32)RING_MIN) : window_most(socket);
	u32 window = limit - MIN(limit, socket->receive.used), told = socket->rcv_edge - socket->rcv_nxt;
	return before(socket->rcv_edge, socket->rcv_nxt) || window > told ? window : told;
}

static u8 *syn_options(const struct socket *socket, u8 *at)
{
	u16 mss = be16((u16)MIN(ip_mtu(socket->remote) - 40, (u32)MSS_MAX));
	*at++ = OPTION_MSS;
	*at++ = 4;
	memcpy(at, &mss, 2);
	at += 2;
	/* The scale is for both directions or for none (RFC 7323 2.2). */
	if (socket->rcv_scale) {
		memcpy(at, (const u8[]){ OPTION_NOP, OPTION_SCALE, 3, socket->rcv_scale }, 4);
		at += 4;
	}
	return at;
}

/* One segment, with `size` bytes of the send ring from `offset` on. false: no memory for it. */
bool tcp_transmit(struct socket *socket, u32 sequence, u32 flags, u32 offset, u32 size)
{
	u32 header = sizeof(struct tcp_header) + (flags & TCP_SYN ? (socket->rcv_scale ? 8 : 4) : 0);
	struct packet *packet = packet_create(header + size);
	if (!packet)
		return false;
	struct tcp_header *tcp = (void *)packet->data;
	u32 window = tcp_window(socket), scale = flags & TCP_SYN ? 0 : socket->rcv_scale;
	u32 field = MIN(window >> scale, 65535U);
	*tcp = (struct tcp_header){
		.source = be16(socket->local_port), .destination = be16(socket->remote_port),
		.sequence = be32(sequence), .acknowledgment = be32(flags & TCP_ACK ? socket->rcv_nxt : 0),
		.offset = (u8)(header << 2), .flags = (u8)flags, .window = be16((u16)field),
	};
	if (flags & TCP_SYN)
		syn_options(socket, (u8 *)(tcp + 1));
	if (size)
		ring_get(&socket->send, offset, packet->data + header, size);
	if (flags & TCP_ACK) {
		socket->rcv_edge = socket->rcv_nxt + (field << scale);
		socket->unacknowledged = 0;
		socket->ack_at = 0;
		socket->ack_now = false;
	}
	transport_output(packet, socket->local, socket->remote, IP_TCP, offsetof(struct tcp_header, checksum));
	return true;
}

void tcp_send_syn(struct socket *socket)
{
	tcp_transmit(socket, socket->iss, socket->state == TCP_SYN_SENT ? TCP_SYN : TCP_SYN | TCP_ACK, 0, 0);
	tcp_arm(socket, &socket->retransmit_at, socket->rto);
	if (!socket->timed && !socket->retries) {
		socket->timed = true;
		socket->timed_end = socket->iss + 1;
		socket->timed_since = time_now();
	}
}

/* RFC 9293 3.5.2: so that it is acceptable to whoever sent the segment. */
void tcp_send_reset(const struct ip_header *ip, const struct tcp_header *tcp, u32 size)
{
	struct packet *packet = packet_create(sizeof(*tcp));
	if (!packet)
		return;
	struct tcp_header *reset = (void *)packet->data;
	bool acknowledges = tcp->flags & TCP_ACK;
	u32 length = size + !!(tcp->flags & TCP_SYN) + !!(tcp->flags & TCP_FIN);
	*reset = (struct tcp_header){
		.source = tcp->destination, .destination = tcp->source,
		.sequence = acknowledges ? tcp->acknowledgment : 0,
		.acknowledgment = acknowledges ? 0 : be32(be32(tcp->sequence) + length),
		.offset = sizeof(*tcp) << 2, .flags = acknowledges ? TCP_RST : TCP_RST | TCP_ACK,
	};
	transport_output(packet, be32(ip->destination), be32(ip->source), IP_TCP,
			 offsetof(struct tcp_header, checksum));
}

/* The next new segment's size; false: nothing is to be sent now. */
static bool next_segment(const struct socket *s, u32 *size, bool *fin)
{
	u32 offset = s->snd_nxt - s->snd_una, used = s->send.used;
	u32 window = MIN(s->snd_wnd, s->cwnd), usable = window - MIN(window, offset);
	u32 unsent = used - MIN(used, offset);
	*size = MIN(MIN(unsent, usable), (u32)s->mss);
	bool last = *size == unsent;
	*fin = s->fin_queued && last && offset <= used;
	if (*fin || *size == s->mss)
		return true;
	if (!*size)
		return false;
	/* Nagle (RFC 9293 3.7.4), and no silly windows (3.8.6.2.1). */
	bool push = last && (offset == 0 || s->no_delay || s->fin_queued);
	return push || *size >= s->snd_wnd_max / 2 || before(s->snd_nxt, s->snd_max);
}

/* For segments without data: not beyond the peer's window, where it would not look at them. */
static u32 last_sequence(const struct socket *s)
{
	u32 edge = s->snd_una + s->snd_wnd;
	return after(s->snd_max, edge) ? edge : s->snd_max;
}

void tcp_acknowledge(struct socket *s) { tcp_transmit(s, last_sequence(s), TCP_ACK, 0, 0); }

void tcp_output(struct socket *s)
{
	u32 size;
	bool fin;
	if (!tcp_synchronized(s) || s->state == TCP_TIME_WAIT) {
		if (s->ack_now && s->state >= TCP_SYN_RECEIVED)
			tcp_acknowledge(s);
		return;
	}
	s->stalled = false;
	while (next_segment(s, &size, &fin)) {
		u32 offset = s->snd_nxt - s->snd_una;
		bool last = offset + size == s->send.used;
		s->stalled = !may_send(s) ||
			     !tcp_transmit(s, s->snd_nxt, TCP_ACK | (last && size ? TCP_PSH : 0) | (fin ? TCP_FIN : 0),
					   offset, size);
		any_stalled |= s->stalled;
		if (s->stalled)
			break;
		bool fresh = s->snd_nxt == s->snd_max;
		s->snd_nxt += size + fin;
		if (after(s->snd_nxt, s->snd_max))
			s->snd_max = s->snd_nxt;
		if (fresh && !s->timed) {
			s->timed = true;
			s->timed_end = s->snd_nxt;
			s->timed_since = time_now();
		}
	}
	if (s->ack_now)
		tcp_acknowledge(s);
	/* What was sent is to be acknowledged; what cannot be sent because of the window is worth a probe. */
	if (!s->retransmit_at && (s->snd_max != s->snd_una || s->send.used))
		tcp_arm(s, &s->retransmit_at, s->rto);
}

void tcp_resume(void)
{
	struct socket *socket;
	if (!any_stalled || (network.device && !network.device->can_send()))
		return;
	any_stalled = false;
	list_for_each(socket, &tcp_sockets, link)
		if (socket->stalled)
			tcp_output(socket);
}
