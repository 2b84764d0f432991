/* How connections begin: a segment for a listener, or for a socket that calls (RFC 9293 3.10.7.2 and 3.10.7.3). */
#include "net/segment.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2, OPTION_SCALE = 3, SCALE_MAX = 14, NO_SCALE = 0xff };

void tcp_parse_options(struct segment *segment, const u8 *at, const u8 *end)
{
	segment->mss = MSS_DEFAULT;
	segment->scale = NO_SCALE;
	while (at < end && *at != OPTION_END) {
		u32 size = *at == OPTION_NOP ? 1 : end - at < 2 ? 0 : at[1];
		if (!size || (size < 2 && *at != OPTION_NOP) || size > (u64)(end - at))
			return;
		if (*at == OPTION_MSS && size == 4)
			segment->mss = MAX((u32)at[2] << 8 | at[3], 64U);
		else if (*at == OPTION_SCALE && size == 3)
			segment->scale = (u8)MIN(at[2], SCALE_MAX);
		at += size;
	}
}

static void set_scales(struct socket *s, const struct segment *segment)
{
	bool both = segment->scale != NO_SCALE && s->rcv_scale;
	s->snd_scale = both ? segment->scale : 0;
	s->rcv_scale = both ? WINDOW_SCALE : 0;
	s->mss = (u16)MIN(s->mss, segment->mss);
}

/* 3.10.7.2. A queue that is full drops the SYN: it comes again. */
void tcp_listen_input(struct socket *listener, const struct segment *segment)
{
	if (segment->flags & TCP_ACK) {
		tcp_send_reset(segment->ip, segment->tcp, segment->size);
		return;
	}
	if (!(segment->flags & TCP_SYN) || listener->pending > listener->backlog || memory_tight())
		return;
	struct socket *s = socket_create(true);
	if (!s)
		return;
	s->local = be32(segment->ip->destination);
	s->local_port = listener->local_port;
	s->remote = be32(segment->ip->source);
	s->remote_port = be16(segment->tcp->source);
	s->reuse = listener->reuse;
	s->no_delay = listener->no_delay;
	s->keep_alive = listener->keep_alive;
	s->linger = listener->linger;
	s->listener = listener;
	list_add_tail(&listener->waiting, &s->in_listener);
	listener->pending++;
	tcp_setup(s, segment->mss);
	tcp_hash(s);
	set_scales(s, segment);
	s->rcv_nxt = s->rcv_edge = segment->sequence + 1;
	s->snd_wnd = s->snd_wnd_max = segment->window;
	s->state = TCP_SYN_RECEIVED;
	tcp_send_syn(s);
}

void tcp_established(struct socket *s, const struct segment *segment)
{
	s->state = TCP_ESTABLISHED;
	s->retries = 0;
	s->retransmit_at = 0;
	s->snd_una = s->iss + 1;
	s->snd_wl1 = segment->sequence;
	s->snd_wl2 = segment->acknowledgment;
	if (s->timed)
		tcp_round_trip(s, time_now() - s->timed_since);
	s->timed = false;
	if (s->keep_alive)
		tcp_arm(s, &s->other_at, 7200 * NS_PER_SECOND);
	if (s->listener) {
		list_remove(&s->in_listener);
		list_add_tail(&s->listener->accepting, &s->in_listener);
		socket_wake(s->listener);
	}
	socket_wake(s);
}

/* 3.10.7.3. Two that call each other at the same time meet in SYN_RECEIVED (3.5, figure 7). */
void tcp_syn_sent_input(struct socket *s, const struct segment *segment)
{
	bool acknowledged = segment->flags & TCP_ACK;
	if (acknowledged && segment->acknowledgment != s->iss + 1) {
		if (!(segment->flags & TCP_RST))
			tcp_send_reset(segment->ip, segment->tcp, segment->size);
		return;
	}
	if (segment->flags & TCP_RST) {
		if (acknowledged)
			tcp_end(s, ECONNREFUSED);
		return;
	}
	if (!(segment->flags & TCP_SYN))
		return;
	s->rcv_nxt = s->rcv_edge = segment->sequence + 1;
	set_scales(s, segment);
	s->snd_wnd = s->snd_wnd_max = segment->window;
	if (acknowledged) {
		tcp_established(s, segment);
		s->ack_now = true;
		tcp_output(s);
	} else {
		s->state = TCP_SYN_RECEIVED;
		tcp_send_syn(s);
	}
}
