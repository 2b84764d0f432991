/* Connections of the transmission control protocol (RFC 9293) as the application uses them: 3.9.1, and their end. */
#include "internal.h"

enum { BUCKETS = 1024 };
#define MSL_TWICE	(60 * NS_PER_SECOND)	/* of TIME_WAIT, and what an orphan waits for the peer's FIN */

struct list tcp_listeners = LIST_INIT(tcp_listeners);

static struct list buckets[BUCKETS];
static u32 time_wait_count;

static struct list *bucket(u32 local, u16 local_port, u32 remote, u16 remote_port)
{
	u32 key = (local ^ remote) * 0x9e3779b1 ^ ((u32)local_port << 16 | remote_port) * 0x85ebca6b;
	struct list *list = &buckets[(key ^ key >> 15) % BUCKETS];
	if (!list->next)
		list_init(list);
	return list;
}

struct socket *tcp_find(u32 local, u16 local_port, u32 remote, u16 remote_port)
{
	struct socket *socket;
	list_for_each(socket, bucket(local, local_port, remote, remote_port), hash)
		if (socket->local == local && socket->local_port == local_port && socket->remote == remote &&
		    socket->remote_port == remote_port)
			return socket;
	return NULL;
}

void tcp_hash(struct socket *socket)
{
	list_add_tail(bucket(socket->local, socket->local_port, socket->remote, socket->remote_port), &socket->hash);
}

/* The initial sequence number: a clock of 4 us (RFC 9293 3.4.1) with something added that is hard to guess. */
void tcp_setup(struct socket *socket, u32 peer_mss)
{
	u32 random, mtu = ip_mtu(socket->remote);
	random_fill(&random, sizeof(random));
	socket->iss = (u32)(time_now() / 4000) + random;
	socket->snd_una = socket->iss;
	socket->snd_nxt = socket->snd_max = socket->iss + 1;
	socket->mss = (u16)MIN(MIN(mtu - 40, peer_mss), (u32)MSS_MAX);
	socket->cwnd = MIN(10U * socket->mss, MAX(2U * socket->mss, 14600U));	/* RFC 6928 */
	socket->ssthresh = CWND_MAX;
	socket->rcv_scale = WINDOW_SCALE;
	socket->rto = NS_PER_SECOND;
	socket->retries = 0;
	socket->timed = false;
}

long tcp_connect(struct socket *socket, u32 address, u16 port)
{
	u32 source = socket->local ?: ip_source(address ?: 0x7f000001);
	address = address ?: 0x7f000001;	/* Linux: "any" is this machine */
	if (!source || (!is_own(address) && (address >> 28 >= 14 || (is_own(source) && source >> 24 == 127))))
		return -ENETUNREACH;
	socket->remote = address;
	socket->remote_port = port;
	if (socket->local_port)
		socket->local = source;
	long error = socket->local_port ? (tcp_find(source, socket->local_port, address, port) ? -EADDRNOTAVAIL : 0)
					: socket_bind(socket, source, 0);
	if (error) {
		socket->remote = socket->remote_port = 0;
		return error == -EADDRINUSE ? -EADDRNOTAVAIL : error;
	}
	tcp_setup(socket, 65535);
	tcp_hash(socket);
	socket->state = TCP_SYN_SENT;
	socket->fin_queued = socket->fin_received = socket->fin_known = socket->fin_acked = false;
	tcp_send_syn(socket);
	return 0;
}

long tcp_listen(struct socket *socket, u32 backlog)
{
	if (socket->state != TCP_CLOSED && socket->state != TCP_LISTEN)
		return -EINVAL;
	if (!socket->local_port)
		TRY(socket_bind(socket, ANY_ADDRESS, 0));
	struct socket *other;
	list_for_each(other, &tcp_listeners, hash)
		if (other != socket && other->local_port == socket->local_port &&
		    (!other->local || !socket->local || other->local == socket->local))
			return -EADDRINUSE;
	socket->backlog = MIN(backlog, (u32)SOMAXCONN);
	if (socket->state == TCP_CLOSED)
		list_add_tail(&tcp_listeners, &socket->hash);
	socket->state = TCP_LISTEN;
	return 0;
}

struct socket *tcp_accept(struct socket *listener)
{
	if (list_empty(&listener->accepting))
		return NULL;
	struct socket *socket = list_entry(listener->accepting.next, struct socket, in_listener);
	list_remove(&socket->in_listener);
	socket->listener = NULL;
	listener->pending--;
	return socket;
}

void tcp_shutdown_write(struct socket *socket)
{
	if (socket->fin_queued)
		return;
	socket->fin_queued = socket->write_shut = true;
	if (socket->state == TCP_ESTABLISHED)
		socket->state = TCP_FIN_WAIT_1;
	else if (socket->state == TCP_CLOSE_WAIT)
		socket->state = TCP_LAST_ACK;
	tcp_output(socket);
	socket_wake(socket);
}

/* Silly windows are not told (RFC 9293 3.8.6.2.2): a quarter of the most, or two segments where there was none. */
void tcp_after_read(struct socket *socket)
{
	if (socket->state < TCP_ESTABLISHED || socket->fin_received)
		return;
	u32 gain = socket->rcv_nxt + tcp_window(socket) - socket->rcv_edge, left = socket->rcv_edge - socket->rcv_nxt;
	if ((s32)gain >= (s32)window_most(socket) / 4 || (left < 2U * socket->mss && (s32)gain >= 2 * socket->mss)) {
		socket->ack_now = true;
		tcp_output(socket);
	}
}

/* Off the lists of whoever would accept it. */
static void leave_listener(struct socket *socket)
{
	if (socket->listener) {
		list_remove(&socket->in_listener);
		socket->listener->pending--;
		socket->listener = NULL;
	}
}

void tcp_end(struct socket *socket, int error)
{
	leave_listener(socket);
	if (socket->state == TCP_TIME_WAIT)
		time_wait_count--;
	/* What came can still be read, but for a reset. */
	if (error)
		ring_free(&socket->receive);
	ring_free(&socket->send);
	list_remove(&socket->hash);
	socket->range_count = 0;
	socket->retransmit_at = socket->ack_at = socket->other_at = 0;
	socket->fin_received = true;
	socket->state = TCP_CLOSED;
	if (!socket->open) {
		socket_free(socket);
		return;
	}
	socket->error = error ?: socket->error;
	socket_wake(socket);
}

void tcp_abort(struct socket *socket, int error)
{
	if (tcp_synchronized(socket) || socket->state == TCP_SYN_RECEIVED)
		tcp_transmit(socket, socket->snd_max, TCP_RST | TCP_ACK, 0, 0);
	tcp_end(socket, error);
}

void tcp_time_wait(struct socket *socket)
{
	struct socket *oldest;
	if (time_wait_count >= TIME_WAIT_MAX) {
		list_for_each(oldest, &tcp_sockets, link)
			if (oldest->state == TCP_TIME_WAIT && !oldest->open)
				break;
		if (&oldest->link != &tcp_sockets)
			tcp_end(oldest, 0);
	}
	time_wait_count++;
	socket->state = TCP_TIME_WAIT;
	socket->retransmit_at = 0;
	/* To the end of the list: it is in the order of the beginnings of TIME_WAIT. */
	list_remove(&socket->link);
	list_add_tail(&tcp_sockets, &socket->link);
	ring_free(&socket->send);
	if (!socket->open)
		ring_free(&socket->receive);
	tcp_arm(socket, &socket->other_at, MSL_TWICE);
}

static void listener_close(struct socket *listener)
{
	struct socket *child, *after;
	list_for_each_safe(child, after, &listener->waiting, in_listener)
		tcp_abort(child, 0);
	list_for_each_safe(child, after, &listener->accepting, in_listener)
		tcp_abort(child, 0);
	tcp_end(listener, 0);
}

/* With data that nobody will read, or with SO_LINGER of 0, the peer is told by a RST (RFC 2525 2.17). */
void tcp_close(struct socket *socket)
{
	socket->open = false;
	if (socket->state == TCP_LISTEN) {
		listener_close(socket);
	} else if (socket->state == TCP_CLOSED || socket->state == TCP_SYN_SENT) {
		tcp_end(socket, 0);
	} else if (socket->state != TCP_TIME_WAIT && (socket->receive.used || socket->linger == 0)) {
		tcp_abort(socket, 0);
	} else if (socket->state != TCP_TIME_WAIT) {
		tcp_shutdown_write(socket);
		if (socket->state == TCP_FIN_WAIT_2)
			tcp_arm(socket, &socket->other_at, MSL_TWICE);
	}
}
