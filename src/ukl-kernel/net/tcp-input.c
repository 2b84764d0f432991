/* What happens when a segment arrives: RFC 9293 3.10.7, in its order. How connections begin is in tcp-open.c. */
#include "net/segment.h"

enum { QUICK_ACKS = 16 };

/* ---- Acknowledgments ---- */

/* RFC 5681 3.1, RFC 6582 3.2. */
static void congestion_acknowledged(struct socket *s, u32 bytes)
{
	if (s->recovering && before(s->snd_una, s->recover)) {
		tcp_transmit(s, s->snd_una, TCP_ACK, 0, MIN(s->send.used, (u32)s->mss));	/* a partial one */
		return;
	}
	if (s->recovering)
		s->cwnd = s->ssthresh;
	else if (s->cwnd < s->ssthresh)
		s->cwnd += MIN(bytes, 2U * s->mss);
	else
		s->cwnd += MAX((u32)s->mss * s->mss / s->cwnd, 1U);
	s->cwnd = MIN(s->cwnd, (u32)CWND_MAX);
	s->recovering = false;
	s->duplicates = 0;
}

static void duplicate(struct socket *s)
{
	if (s->recovering || ++s->duplicates < 3)
		return;
	s->recovering = true;
	s->recover = s->snd_max;
	s->ssthresh = MAX((s->snd_max - s->snd_una) / 2, 2U * s->mss);
	s->cwnd = s->ssthresh + 3U * s->mss;
	s->timed = false;
	if (s->send.used)
		tcp_transmit(s, s->snd_una, TCP_ACK, 0, MIN(s->send.used, (u32)s->mss));
	else
		s->snd_nxt = s->snd_una;	/* the FIN */
}

/* false: the connection is gone. */
static bool acknowledge(struct socket *s, const struct segment *segment)
{
	u32 acknowledgment = segment->acknowledgment, window = segment->window << s->snd_scale;
	if (after(acknowledgment, s->snd_una)) {
		u32 count = acknowledgment - s->snd_una, bytes = MIN(count, s->send.used);
		if (s->timed && !before(acknowledgment, s->timed_end)) {
			tcp_round_trip(s, time_now() - s->timed_since);
			s->timed = false;
		}
		ring_consume(&s->send, bytes);
		if (!s->send.used && !s->send.pinned && memory_tight())
			ring_free(&s->send);
		s->fin_acked |= count > bytes;
		s->snd_una = acknowledgment;
		if (before(s->snd_nxt, s->snd_una))
			s->snd_nxt = s->snd_una;
		s->retries = 0;
		s->retransmit_at = 0;
		congestion_acknowledged(s, bytes);
		if (s->snd_max != s->snd_una)
			tcp_arm(s, &s->retransmit_at, s->rto);
		if (s->no_space && s->send.used <= RING_MAX / 3 * 2) {
			s->no_space = false;
			file_wake(&s->can_write);
		}
	} else if (acknowledgment == s->snd_una && !segment->size && window == s->snd_wnd && s->snd_max != s->snd_una &&
		   s->snd_wnd) {
		duplicate(s);
	}
	if (before(s->snd_wl1, segment->sequence) ||
	    (s->snd_wl1 == segment->sequence && !before(acknowledgment, s->snd_wl2))) {
		if (!s->snd_wnd) {
			s->retries = s->open ? 0 : s->retries;	/* the peer lives; an orphan does not wait for ever */
			if (window)
				s->snd_nxt = s->snd_una;	/* what was under way may have been thrown away */
		}
		s->snd_wnd = window;
		s->snd_wnd_max = MAX(s->snd_wnd_max, window);
		s->snd_wl1 = segment->sequence;
		s->snd_wl2 = acknowledgment;
	}
	if (!s->fin_acked)
		return true;
	if (s->state == TCP_FIN_WAIT_1) {
		s->state = TCP_FIN_WAIT_2;
		if (!s->open)
			tcp_arm(s, &s->other_at, 60 * NS_PER_SECOND);
	} else if (s->state == TCP_CLOSING) {
		tcp_time_wait(s);
	} else if (s->state == TCP_LAST_ACK) {
		tcp_end(s, 0);
		return false;
	}
	return true;
}

/* ---- Data ---- */

/* Remembers what came out of order; if there are too many holes, it has to come again. */
static bool range_add(struct socket *s, u32 start, u32 end)
{
	u32 i = 0, count;
	while (i < s->range_count && before(s->ranges[i].end, start))
		i++;
	for (count = 0; i + count < s->range_count && !after(s->ranges[i + count].start, end); count++) {
		start = before(s->ranges[i + count].start, start) ? s->ranges[i + count].start : start;
		end = after(s->ranges[i + count].end, end) ? s->ranges[i + count].end : end;
	}
	if (!count && s->range_count == RANGES_MAX)
		return false;
	/* `count` of them become one. */
	memmove(&s->ranges[i + 1], &s->ranges[i + count], (s->range_count - i - count) * sizeof(s->ranges[0]));
	s->ranges[i] = (struct range){ start, end };
	s->range_count += 1 - count;
	return true;
}

/* In the ring at the place where it belongs, behind what is there in order. */
static void receive_data(struct socket *s, u32 sequence, const u8 *data, u32 size)
{
	u32 gap = sequence - s->rcv_nxt, place = s->receive.used + gap;
	if (!ring_reserve(&s->receive, place + size)) {
		s->ack_now = true;
		return;
	}
	if (gap && !range_add(s, sequence, sequence + size))
		return;
	ring_put(&s->receive, place, data, size);
	if (gap) {
		s->ack_now = true;		/* RFC 5681 4.2: at once, so that the sender learns of the hole */
		return;
	}
	u32 end = sequence + size;
	while (s->range_count && !after(s->ranges[0].start, end)) {
		end = after(s->ranges[0].end, end) ? s->ranges[0].end : end;
		s->ack_now = true;
		s->range_count--;
		memmove(&s->ranges[0], &s->ranges[1], s->range_count * sizeof(s->ranges[0]));
	}
	s->receive.used += end - s->rcv_nxt;
	s->unacknowledged += end - s->rcv_nxt;
	s->rcv_nxt = end;
	/*
	 * RFC 9293 3.8.6.3: at least every second full segment, and not later than in 500 ms. The first ones at once, as
	 * Linux does: the sender may be in slow start, or wait by Nagle's rule.
	 */
	if (s->unacknowledged >= 2U * s->mss || s->quick_acks < QUICK_ACKS) {
		s->quick_acks++;
		s->ack_now = true;
	} else if (!s->ack_at) {
		tcp_arm(s, &s->ack_at, 40 * MS);
	}
	file_wake(&s->can_read);
}

static void receive_fin(struct socket *s)
{
	s->rcv_nxt++;
	s->fin_received = true;
	s->ack_now = true;
	if (s->state == TCP_ESTABLISHED)
		s->state = TCP_CLOSE_WAIT;
	else if (s->state == TCP_FIN_WAIT_1)
		s->state = TCP_CLOSING;		/* acknowledge() has seen whether ours was acknowledged */
	else if (s->state == TCP_FIN_WAIT_2)
		tcp_time_wait(s);
	socket_wake(s);
}

/* 3.10.7.4, first: whether any of the segment is in the window. Cuts off what is not. */
static bool acceptable(const struct socket *s, struct segment *segment)
{
	u32 window = tcp_window(s), end = s->rcv_nxt + window;
	u32 length = segment->size + !!(segment->flags & TCP_FIN);
	u32 early = s->rcv_nxt - segment->sequence;
	if (!length)
		return !before(segment->sequence, s->rcv_nxt) && !after(segment->sequence, end);
	if (!after(segment->sequence + length, s->rcv_nxt) || !before(segment->sequence, end))
		return false;
	if (after(s->rcv_nxt, segment->sequence)) {
		segment->sequence = s->rcv_nxt;
		segment->data += early;
		segment->size -= MIN(early, segment->size);
	}
	if (after(segment->sequence + segment->size, end)) {
		segment->size = end - segment->sequence;
		segment->flags &= ~(u32)TCP_FIN;
	}
	return true;
}

/* States from SYN_RECEIVED on. */
static void synchronized_input(struct socket *s, struct segment *segment)
{
	bool in_window = acceptable(s, segment);
	if (segment->flags & TCP_RST) {
		/* RFC 5961 3.2: a reset that is not exactly right is asked for again. */
		if (segment->sequence == s->rcv_nxt)
			tcp_end(s, s->state == TCP_SYN_RECEIVED ? ECONNREFUSED :
				   s->state == TCP_CLOSE_WAIT ? EPIPE :
				   s->state == TCP_TIME_WAIT || s->state == TCP_LAST_ACK ? 0 : ECONNRESET);
		else if (in_window)
			tcp_acknowledge(s);
		return;
	}
	if (!in_window || segment->flags & TCP_SYN) {
		/* RFC 5961 4.2 for the SYN; a SYN|ACK that was lost comes again for a repeated SYN. */
		if (s->state == TCP_SYN_RECEIVED && segment->flags & TCP_SYN)
			tcp_send_syn(s);
		else
			tcp_acknowledge(s);
		return;
	}
	if (!(segment->flags & TCP_ACK))
		return;
	if (s->state == TCP_SYN_RECEIVED) {
		if (segment->acknowledgment != s->iss + 1) {
			tcp_send_reset(segment->ip, segment->tcp, segment->size);
			return;
		}
		tcp_established(s, segment);
		s->snd_wnd = segment->window << s->snd_scale;
	}
	if (after(segment->acknowledgment, s->snd_max)) {
		tcp_acknowledge(s);
		return;
	}
	if (s->keep_alive && s->open && s->state != TCP_TIME_WAIT)
		s->other_at = time_now() + 7200 * NS_PER_SECOND;
	if (!acknowledge(s, segment))
		return;
	if (segment->size && !s->open && !s->listener) {
		tcp_abort(s, 0);		/* nobody will read it: RFC 2525 2.17 */
		return;
	}
	bool receiving = !s->fin_received && s->state != TCP_TIME_WAIT;
	if (segment->flags & TCP_FIN && receiving) {
		s->fin_known = true;
		s->fin_at = segment->sequence + segment->size;
	}
	if (segment->size && receiving)
		receive_data(s, segment->sequence, segment->data, segment->size);
	if (s->fin_known && receiving && s->rcv_nxt == s->fin_at)
		receive_fin(s);
	else if (segment->flags & TCP_FIN)
		s->ack_now = true;
	tcp_output(s);
}

void tcp_input(struct packet *packet, const struct ip_header *ip)
{
	const struct tcp_header *tcp = (void *)packet->data;
	u32 from = be32(ip->source), to = be32(ip->destination);
	u32 header = packet->size >= sizeof(*tcp) ? (tcp->offset >> 4) * 4U : 0;
	if (header < sizeof(*tcp) || header > packet->size || !transport_check(packet, from, to, IP_TCP) ||
	    !tcp->source)
		return;
	struct segment segment = {
		.ip = ip, .tcp = tcp, .sequence = be32(tcp->sequence), .acknowledgment = be32(tcp->acknowledgment),
		.window = be16(tcp->window), .flags = tcp->flags, .data = packet->data + header,
		.size = packet->size - header,
	};
	if (tcp->flags & TCP_SYN)
		tcp_parse_options(&segment, packet->data + sizeof(*tcp), packet->data + header);
	struct socket *s = tcp_find(to, be16(tcp->destination), from, be16(tcp->source)), *listener = NULL, *other;
	if (!s)
		list_for_each(other, &tcp_listeners, hash)
			if (other->local_port == be16(tcp->destination) && (!other->local || other->local == to))
				listener = other->local || !listener ? other : listener;
	/* 3.10.7.4, TIME_WAIT: a new connection of the same ends may begin with higher numbers. */
	if (s && s->state == TCP_TIME_WAIT && !s->open && (tcp->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
	    after(segment.sequence, s->rcv_nxt)) {
		tcp_end(s, 0);
		tcp_input(packet, ip);
	} else if (s && s->state == TCP_SYN_SENT) {
		tcp_syn_sent_input(s, &segment);
	} else if (s) {
		synchronized_input(s, &segment);
	} else if (tcp->flags & TCP_RST) {
		return;
	} else if (listener) {
		tcp_listen_input(listener, &segment);
	} else {
		tcp_send_reset(ip, tcp, segment.size);
	}
}
