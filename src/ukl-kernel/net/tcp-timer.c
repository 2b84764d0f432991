/* TCP's timers: retransmission (RFC 6298), probes of a closed window, delayed acknowledgments, TIME_WAIT. */
#include "internal.h"

#define RTO_MIN		(200 * MS)	/* as Linux; RFC 6298 (2.4) would have 1 s */
#define RTO_MAX		(60 * NS_PER_SECOND)
#define KEEP_ALIVE	(7200 * NS_PER_SECOND)
#define KEEP_ALIVE_AGAIN (75 * NS_PER_SECOND)
enum { RETRIES_MAX = 12, SYN_RETRIES_MAX = 5, KEEP_ALIVE_TRIES = 9 };

void tcp_arm(struct socket *socket, u64 *timer, u64 delay)
{
	(void)socket;
	*timer = time_now() + delay;
	network_timer(*timer);
}

/* RFC 6298 2.2 and 2.3, without fractions smaller than a nanosecond. */
void tcp_round_trip(struct socket *s, u64 sample)
{
	if (!s->srtt) {
		s->srtt = sample;
		s->rttvar = sample / 2;
	} else {
		u64 difference = s->srtt > sample ? s->srtt - sample : sample - s->srtt;
		s->rttvar = (3 * s->rttvar + difference) / 4;
		s->srtt = (7 * s->srtt + sample) / 8;
	}
	s->rto = MIN(MAX(s->srtt + MAX(4 * s->rttvar, 10 * MS), RTO_MIN), RTO_MAX);
}

/* RFC 6298 5.4 to 5.6, RFC 5681 3.1 (4). The connection may be gone afterwards. */
static void retransmit(struct socket *s)
{
	bool handshake = !tcp_synchronized(s);
	/* A closed window, or one so small that next_segment() waited for more: RFC 9293 3.8.6.1, 3.8.6.2.1. */
	bool probe = !handshake && s->send.used && (!s->snd_wnd || s->snd_max == s->snd_una);
	s->retransmit_at = 0;
	if (++s->retries > (handshake ? SYN_RETRIES_MAX : RETRIES_MAX)) {
		tcp_abort(s, ETIMEDOUT);
		return;
	}
	s->rto = MIN(2 * s->rto, RTO_MAX);
	s->timed = false;		/* Karn: what was sent twice tells nothing */
	if (handshake) {
		tcp_send_syn(s);
	} else if (probe) {
		/* Of a closed window an old number asks: the answer tells the new one. */
		u32 size = MIN(MIN(s->snd_wnd, s->send.used), (u32)s->mss);
		tcp_transmit(s, s->snd_una - !size, TCP_ACK | TCP_PSH, 0, size);
		s->snd_nxt = MAX(s->snd_nxt - s->snd_una, size) + s->snd_una;
		if (after(s->snd_nxt, s->snd_max))
			s->snd_max = s->snd_nxt;
		tcp_arm(s, &s->retransmit_at, s->rto);
	} else {
		u32 flight = s->snd_max - s->snd_una;
		if (s->retries == 1)
			s->ssthresh = MAX(flight / 2, 2U * s->mss);
		s->cwnd = s->mss;
		s->recovering = false;
		s->duplicates = 0;
		s->snd_nxt = s->snd_una;
		tcp_output(s);
	}
}

/* RFC 9293 3.8.4: an old sequence number asks the peer for an acknowledgment. */
static void keep_alive(struct socket *s)
{
	if (s->state == TCP_TIME_WAIT || !s->open) {
		tcp_end(s, 0);
	} else if (!s->keep_alive) {
		s->other_at = 0;
	} else if (++s->retries > KEEP_ALIVE_TRIES) {
		tcp_abort(s, ETIMEDOUT);
	} else {
		tcp_transmit(s, s->snd_una - 1, TCP_ACK, 0, 0);
		tcp_arm(s, &s->other_at, s->retries > 1 ? KEEP_ALIVE_AGAIN : KEEP_ALIVE);
	}
}

static bool due(u64 timer, u64 now) { return timer && timer <= now; }
static u64 earlier(u64 first, u64 timer) { return timer ? MIN(first, timer) : first; }

u64 tcp_timers(u64 now)
{
	struct socket *s, *next;
	u64 first = ~0UL;
	list_for_each_safe(s, next, &tcp_sockets, link) {
		if (due(s->ack_at, now)) {
			s->ack_at = 0;
			s->ack_now = true;
			tcp_output(s);
		}
		/* Afterwards it may be gone. What is set meanwhile counts by network_timer(). */
		first = earlier(first, s->ack_at);
		if (due(s->retransmit_at, now)) {
			first = earlier(first, s->other_at);
			retransmit(s);
			continue;
		}
		first = earlier(first, s->retransmit_at);
		if (due(s->other_at, now))
			keep_alive(s);
		else
			first = earlier(first, s->other_at);
	}
	return first;
}
