/* Sockets as objects: making, naming, finding, freeing. */
#include "internal.h"

enum { PORT_FIRST = 32768, PORT_LAST = 60999 };	/* for whoever wants any (Linux's ip_local_port_range) */

struct list tcp_sockets = LIST_INIT(tcp_sockets), udp_sockets = LIST_INIT(udp_sockets);
static u32 socket_count;

struct socket *socket_create(bool stream)
{
	struct socket *socket = socket_count < CONNECTIONS_MAX ? kmalloc(sizeof(*socket)) : NULL;
	if (!socket)
		return NULL;
	socket_count++;
	socket->stream = stream;
	socket->linger = -1;
	socket->rto = NS_PER_SECOND;
	list_init(&socket->hash);
	list_init(&socket->datagrams);
	list_init(&socket->waiting);
	list_init(&socket->accepting);
	list_init(&socket->in_listener);
	wait_queue_init(&socket->can_read);
	wait_queue_init(&socket->can_write);
	list_add_tail(stream ? &tcp_sockets : &udp_sockets, &socket->link);
	return socket;
}

void socket_free(struct socket *socket)
{
	socket_count--;
	list_remove(&socket->link);
	list_remove(&socket->hash);
	list_remove(&socket->in_listener);
	ring_free(&socket->send);
	ring_free(&socket->receive);
	kfree(socket);
}

void socket_wake(struct socket *socket)
{
	file_wake(&socket->can_read);
	file_wake(&socket->can_write);
}

long socket_error(struct socket *socket)
{
	int error = socket->error;
	socket->error = 0;
	return -error;
}

/*
 * Whether another socket has the port at the address. Two may share one if both set SO_REUSEADDR and, with TCP, none
 * of them listens (Linux's socket(7)).
 */
static bool port_taken(const struct socket *socket, u32 address, u16 port, bool reuse)
{
	const struct socket *other;
	list_for_each(other, socket->stream ? &tcp_sockets : &udp_sockets, link) {
		bool overlap = !address || !other->local || other->local == address;
		if (other != socket && other->local_port == port && overlap &&
		    !(reuse && other->reuse && other->state != TCP_LISTEN))
			return true;
	}
	return false;
}

long socket_bind(struct socket *socket, u32 address, u16 port)
{
	static u32 next;
	if (address && !is_own(address) && (socket->stream || address != BROADCAST))
		return -EADDRNOTAVAIL;
	if (!next)
		random_fill(&next, sizeof(next));
	for (u32 tries = 0; !port && tries <= PORT_LAST - PORT_FIRST; tries++) {
		u16 candidate = (u16)(PORT_FIRST + next++ % (PORT_LAST - PORT_FIRST + 1));
		/* A connection needs a pair of ends of its own; anything else a port. */
		bool taken = socket->remote_port && socket->stream
				     ? tcp_find(address, candidate, socket->remote, socket->remote_port) ||
					       port_taken(socket, address, candidate, true)
				     : port_taken(socket, address, candidate, false);
		if (!taken)
			port = candidate;
	}
	if (!port || (socket->remote_port == 0 && port_taken(socket, address, port, socket->reuse)))
		return -EADDRINUSE;
	socket->local = address;
	socket->local_port = port;
	return 0;
}
