/*
 * Internet sockets as files: moving bytes and datagrams, readiness, the end. The calls that only sockets have are in
 * socket-calls.c.
 */
#include "fs/socket.h"

static bool connecting(const struct socket *s) { return s->state == TCP_SYN_SENT || s->state == TCP_SYN_RECEIVED; }

/* ---- Streams ---- */

/*
 * The application's memory may be a file's, and a page of it waited for while bytes are copied, the ring being pinned: whoever
 * else sends on the same connection waits for that, and so does whoever else receives. Else both would have the same place.
 */

/* How many more bytes the send ring takes, with memory for them; 0: to be waited for; -ENOBUFS: in vain. */
static long send_room(struct socket *s, size_t wanted)
{
	u32 piece = (u32)MIN(wanted, (size_t)(RING_MAX - s->send.used));
	if (piece && !ring_reserve(&s->send, s->send.used + piece)) {
		if (!s->send.capacity && !ring_reserve(&s->send, RING_MIN))
			return -ENOBUFS;
		piece = MIN(piece, s->send.capacity - s->send.used);
	}
	return piece;
}

static ssize_t stream_send(struct socket *s, const struct iovec *vectors, u32 count, u32 flags)
{
	size_t done = 0, in_vector = 0;
	long error = 0;
	bool writable, waiting = flags & (O_NONBLOCK | MSG_DONTWAIT) ? false : true;
	while (!error && count) {
		size_t left = vectors->size - in_vector;
		writable = s->state == TCP_ESTABLISHED || s->state == TCP_CLOSE_WAIT;
		long room = left && writable ? send_room(s, left) : 0;
		if (!left) {
			vectors++;
			count--;
			in_vector = 0;
		} else if (s->send.pinned) {
			error = restart_if_interrupted(wait_event(&s->can_write, !s->send.pinned));
		} else if (s->error) {
			error = socket_error(s);
		} else if (!writable && !connecting(s)) {
			if (!done && !(flags & MSG_NOSIGNAL))
				signal_send(current_process(), current_thread(), SIGPIPE);
			error = -EPIPE;
		} else if (room < 0) {
			error = room;
		} else if (!room) {
			tcp_output(s);
			s->no_space = true;
			if (connecting(s))
				error = waiting ? SOCKET_WAIT(&s->can_write, !connecting(s), s->send_limit) : -EAGAIN;
			else
				error = waiting ? SOCKET_WAIT(&s->can_write, !s->no_space || s->error ||
							      (s->state != TCP_ESTABLISHED && s->state != TCP_CLOSE_WAIT),
							      s->send_limit) : -EAGAIN;
		} else {
			error = ring_put_user(&s->send, s->send.used, vectors->base + in_vector, (u32)room);
			wake_all(&s->can_write);
			if (!error) {
				s->send.used += (u32)room;
				done += (size_t)room;
				in_vector += (size_t)room;
			}
		}
	}
	if (done)
		tcp_output(s);
	return done ? (ssize_t)done : error;
}

static ssize_t stream_receive(struct socket *s, const struct iovec *vectors, u32 count, u32 flags)
{
	size_t done = 0, in_vector = 0;
	long error = 0;
	while (!error && count) {
		u32 piece = (u32)MIN(vectors->size - in_vector, (size_t)(s->receive.used - (flags & MSG_PEEK ? done : 0)));
		if (in_vector == vectors->size) {
			vectors++;
			count--;
			in_vector = 0;
		} else if (s->receive.pinned) {
			error = restart_if_interrupted(wait_event(&s->can_read, !s->receive.pinned));
		} else if (piece) {
			error = ring_get_user(&s->receive, flags & MSG_PEEK ? (u32)done : 0, vectors->base + in_vector, piece);
			wake_all(&s->can_read);
			if (error)
				break;
			if (!(flags & MSG_PEEK))
				ring_consume(&s->receive, piece);
			done += piece;
			in_vector += piece;
		} else if (done && (!(flags & MSG_WAITALL) || flags & MSG_PEEK)) {
			break;
		} else if (s->error) {
			error = done ? -EIO : socket_error(s);	/* after data it is told the next time */
		} else if (s->fin_received || s->read_shut) {
			break;
		} else if (s->state == TCP_CLOSED || s->state == TCP_LISTEN) {
			error = -ENOTCONN;
		} else if (flags & (O_NONBLOCK | MSG_DONTWAIT)) {
			error = -EAGAIN;
		} else {
			if (done)
				tcp_after_read(s);
			error = SOCKET_WAIT(&s->can_read, s->receive.used || s->error || s->fin_received || s->read_shut ||
					    s->state == TCP_CLOSED, s->receive_limit);
		}
	}
	if (done && !(flags & MSG_PEEK)) {
		if (!s->receive.used && !s->range_count && memory_tight())
			ring_free(&s->receive);
		tcp_after_read(s);
	}
	return done ? (ssize_t)done : error;
}

/* ---- Datagrams ---- */

static ssize_t datagram_send(struct socket *s, const struct iovec *vectors, u32 count, u32 size,
			     const struct sockaddr_in *to)
{
	if (s->error)
		return socket_error(s);
	if (!to && !s->remote_port)
		return -EDESTADDRREQ;
	if (to && !to->port)
		return -EINVAL;
	if (!s->local_port)
		TRY(socket_bind(s, s->local, 0));
	u32 address = to ? be32(to->address) ?: 0x7f000001 : s->remote;
	return udp_send(s, vectors, count, size, address, to ? be16(to->port) : s->remote_port);
}

/* The rest of a datagram that does not fit is lost; *flags then gets MSG_TRUNC. */
static ssize_t datagram_receive(struct socket *s, const struct iovec *vectors, u32 count, u32 flags,
				struct sockaddr_in *from, s32 *result_flags)
{
	if (list_empty(&s->datagrams) && !s->error && !s->read_shut) {
		if (flags & (O_NONBLOCK | MSG_DONTWAIT))
			network_poll();
		else
			TRY(SOCKET_WAIT(&s->can_read, !list_empty(&s->datagrams) || s->error || s->read_shut, s->receive_limit));
	}
	if (s->error)
		return socket_error(s);
	if (list_empty(&s->datagrams))
		return s->read_shut ? 0 : -EAGAIN;
	/* Off the list while it is copied: a page fault may wait. */
	struct datagram *datagram = list_entry(s->datagrams.next, struct datagram, link);
	list_remove(&datagram->link);
	u32 done = 0;
	long error = 0;
	for (u32 i = 0; i < count && done < datagram->size && !error; i++) {
		u32 piece = (u32)MIN(vectors[i].size, (size_t)(datagram->size - done));
		error = copy_to_user(vectors[i].base, datagram->bytes + done, piece);
		done += piece;
	}
	*from = (struct sockaddr_in){ AF_INET, be16(datagram->port), be32(datagram->from), {} };
	*result_flags = done < datagram->size ? MSG_TRUNC : 0;
	ssize_t result = flags & MSG_TRUNC ? datagram->size : done;
	if (flags & MSG_PEEK) {
		datagram->link.next = s->datagrams.next;
		datagram->link.previous = &s->datagrams;
		s->datagrams.next->previous = &datagram->link;
		s->datagrams.next = &datagram->link;
	} else {
		udp_datagram_free(s, datagram);
	}
	return error ?: result;
}

/* ---- Both ---- */

ssize_t inet_send_message(struct file *file, const struct iovec *vectors, u32 count, u32 flags,
			  const struct sockaddr_in *to)
{
	struct socket *s = socket_of(file);
	size_t size = 0;
	if (flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE))
		return -EOPNOTSUPP;
	for (u32 i = 0; i < count; i++)
		size += vectors[i].size;
	flags = (flags & ~(u32)O_NONBLOCK) | (file->flags & O_NONBLOCK);
	file_ref(file);		/* another thread may close it meanwhile */
	ssize_t result = s->stream ? stream_send(s, vectors, count, flags)
		       : size > 65507 ? -EMSGSIZE : datagram_send(s, vectors, count, (u32)size, to);
	network_settle();
	file_unref(file);
	return result;
}

ssize_t inet_receive_message(struct file *file, const struct iovec *vectors, u32 count, u32 flags,
			     struct sockaddr_in *from, s32 *result_flags)
{
	struct socket *s = socket_of(file);
	*result_flags = 0;
	if (flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_PEEK | MSG_WAITALL | MSG_TRUNC) || (s->stream && flags & MSG_TRUNC))
		return -EOPNOTSUPP;
	flags |= file->flags & O_NONBLOCK;
	file_ref(file);
	ssize_t result = s->stream ? stream_receive(s, vectors, count, flags)
				   : datagram_receive(s, vectors, count, flags, from, result_flags);
	file_unref(file);
	return result;
}

static ssize_t inet_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	return size ? inet_receive(file, buffer, size, 0) : 0;
}
static ssize_t inet_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	return inet_send(file, buffer, size, 0);
}

static u32 inet_poll(struct file *file)
{
	struct socket *s = socket_of(file);
	u32 events = s->error ? POLLERR : 0;
	if (!s->stream)
		return events | POLLOUT | (!list_empty(&s->datagrams) || s->error ? POLLIN : 0) |
		       (s->read_shut ? POLLIN | POLLRDHUP : 0) | (s->read_shut && s->write_shut ? POLLHUP : 0);
	if (s->state == TCP_LISTEN)
		return list_empty(&s->accepting) ? 0 : POLLIN;
	if (connecting(s))
		return events;
	if (s->state == TCP_CLOSED && !s->fin_received)
		return events | POLLOUT | POLLHUP;
	bool read_end = s->fin_received || s->read_shut;
	if (read_end)
		events |= POLLIN | POLLRDHUP;
	if (s->state == TCP_CLOSED || (read_end && s->write_shut))
		events |= POLLHUP;
	if (s->receive.used || s->error)
		events |= POLLIN;
	if (s->send.used <= RING_MAX / 3 * 2 || s->write_shut || s->error || s->state == TCP_CLOSED)
		events |= POLLOUT;
	else
		s->no_space = true;
	return events;
}

static long inet_ioctl(struct file *file, u32 request, u64 argument)
{
	struct socket *s = socket_of(file);
	s32 value = 0;
	if (request == FIONREAD) {
		if (s->stream)
			value = (s32)s->receive.used;
		else if (!list_empty(&s->datagrams))
			value = (s32)list_entry(s->datagrams.next, struct datagram, link)->size;
		return s->state == TCP_LISTEN ? -EINVAL : copy_to_user((void *)argument, &value, sizeof(value));
	}
	if (request != FIONBIO)
		return -ENOTTY;
	file_ref(file);		/* another thread may close it meanwhile */
	long error = copy_from_user(&value, (void *)argument, sizeof(value));
	if (!error)
		file->flags = value ? file->flags | O_NONBLOCK : file->flags & ~(u32)O_NONBLOCK;
	file_unref(file);
	return error;
}

static void inet_release(struct file *file)
{
	if (socket_of(file)->stream)
		tcp_close(socket_of(file));
	else
		udp_close(socket_of(file));
}

static void inet_queues(struct file *file, struct wait_queue *queues[2])
{
	queues[0] = &socket_of(file)->can_read;
	queues[1] = &socket_of(file)->can_write;
}

const struct file_operations inet_operations = {
	.read = inet_read, .write = inet_write, .poll = inet_poll, .ioctl = inet_ioctl, .release = inet_release,
	.queues = inet_queues,
};
bool is_inet(const struct file *file) { return file->operations == &inet_operations; }
