/*
 * Pairs of Unix sockets: a stream of bytes (SOCK_STREAM), messages (SOCK_DGRAM), or messages over a connection
 * (SOCK_SEQPACKET). What one end sends goes straight into the other end's ring. No names, no other families, no
 * control messages (SCM_RIGHTS gives EOPNOTSUPP).
 */
#include "internal.h"

enum { SOCK_SEQPACKET = 5, MESSAGES_MAX = 64 };

struct socket {
	u32 type;
	struct ring ring;			/* received, not yet read */
	u32 sizes[MESSAGES_MAX];		/* of the messages in the ring, from number `first` on */
	u32 first, count;
	bool no_receive, no_send;		/* shutdown, of this end or by the other */
	struct socket *peer;			/* NULL: closed */
	struct wait_queue can_receive, can_send;
};

/* What a call sends or receives: one buffer of the application, or vectors that lie in its memory. */
struct parts { struct iovec single; const struct iovec *vectors; u64 count; };

static long part_at(const struct parts *parts, u64 i, struct iovec *to)
{
	if (parts->vectors)
		return copy_from_user(to, &parts->vectors[i], sizeof(*to));
	*to = parts->single;
	return 0;
}

static long parts_size(const struct parts *parts, size_t *size)
{
	struct iovec part;
	*size = 0;
	for (u64 i = 0; i < parts->count; i++) {
		if (part_at(parts, i, &part))
			return -EFAULT;
		if (__builtin_add_overflow(*size, part.size, size) || (ssize_t)*size < 0)
			return -EINVAL;
	}
	return 0;
}

/* Whether a wait would be against the caller's wish. */
static bool no_wait(const struct file *file, u32 flags) { return file->flags & O_NONBLOCK || flags & MSG_DONTWAIT; }

static long broken_pipe(u32 flags)
{
	if (!(flags & MSG_NOSIGNAL))
		signal_send_thread(current_thread(), SIGPIPE);
	return -EPIPE;
}

/* Sending `size` bytes would not wait: they fit, or sending is over. */
static bool send_ready(const struct socket *socket, size_t size)
{
	const struct socket *peer = socket->peer;
	return socket->no_send || !peer || (ring_room(&peer->ring) >= size && peer->count < MESSAGES_MAX);
}

/* Receiving has come to its end; the end of a SOCK_DGRAM peer goes unnoticed. */
static bool ended(const struct socket *socket)
{
	return socket->no_receive || (!socket->peer && socket->type != SOCK_DGRAM);
}
static bool receive_ready(const struct socket *socket) { return socket->ring.used || socket->count || ended(socket); }

static long wait_to_send(struct file *file, size_t size, u32 flags)
{
	struct socket *socket = file->inode->socket;
	return no_wait(file, flags) ? -EAGAIN :
	       restart_if_interrupted(wait_event(&socket->can_send, send_ready(socket, size)));
}

static long wait_to_receive(struct file *file, u32 flags)
{
	struct socket *socket = file->inode->socket;
	return no_wait(file, flags) ? -EAGAIN :
	       restart_if_interrupted(wait_event(&socket->can_receive, receive_ready(socket)));
}

static ssize_t stream_send(struct file *file, const void *buffer, size_t size, u32 flags)
{
	struct socket *socket = file->inode->socket;
	size_t done = 0;

	while (done < size) {
		ssize_t result = send_ready(socket, 1) ? 0 : wait_to_send(file, 1, flags);
		struct socket *peer = socket->peer;
		if (!result && (socket->no_send || !peer))
			result = done ? -EPIPE : broken_pipe(flags);
		if (!result)
			result = ring_write(&peer->ring, 0, buffer + done, MIN(size - done, ring_room(&peer->ring)));
		if (result < 0)
			return done ? (ssize_t)done : result;
		ring_commit(&peer->ring, result);
		file_wake(&peer->can_receive);
		done += result;
	}
	return done;
}

static ssize_t stream_receive(struct file *file, void *buffer, size_t size, u32 flags)
{
	struct socket *socket = file->inode->socket;
	size_t done = 0;

	while (done < size) {
		ssize_t result = receive_ready(socket) ? 0 : wait_to_receive(file, flags);
		if (!result && !socket->ring.used)
			break;
		if (!result)
			result = ring_read(&socket->ring, 0, buffer + done, MIN(size - done, socket->ring.used));
		if (result < 0)
			return done ? (ssize_t)done : result;
		done += result;
		if (flags & MSG_PEEK)
			break;
		ring_drop(&socket->ring, result);
		if (socket->peer)
			file_wake(&socket->peer->can_send);
		if (!(flags & MSG_WAITALL))
			break;
	}
	return done;
}

static ssize_t message_send(struct file *file, const struct parts *parts, u32 flags)
{
	struct socket *socket = file->inode->socket;
	struct iovec part;
	size_t size;
	u32 written = 0;

	TRY(parts_size(parts, &size));
	if (size > RING_SIZE)
		return -EMSGSIZE;
	if (!send_ready(socket, size))
		TRY(wait_to_send(file, size, flags));
	struct socket *peer = socket->peer;
	if (socket->no_send || (!peer && socket->type == SOCK_SEQPACKET))
		return broken_pipe(flags);
	if (!peer)
		return -ECONNREFUSED;
	for (u64 i = 0; i < parts->count; i++) {
		TRY(part_at(parts, i, &part));
		part.size = MIN(part.size, size - written);	/* another thread may have changed it */
		if (ring_write(&peer->ring, written, part.base, part.size) != (ssize_t)part.size)
			return -EFAULT;
		written += part.size;
	}
	ring_commit(&peer->ring, written);
	peer->sizes[(peer->first + peer->count++) % MESSAGES_MAX] = written;
	file_wake(&peer->can_receive);
	return written;
}

/* The rest of a message that is longer than the buffer is lost; *truncated says so. */
static ssize_t message_receive(struct file *file, const struct parts *parts, u32 flags, bool *truncated)
{
	struct socket *socket = file->inode->socket;
	struct iovec part;
	u32 taken = 0;

	*truncated = false;
	if (!receive_ready(socket))
		TRY(wait_to_receive(file, flags));
	if (!socket->count)
		return 0;
	u32 size = socket->sizes[socket->first];
	for (u64 i = 0; i < parts->count && taken < size; i++) {
		TRY(part_at(parts, i, &part));
		part.size = MIN(part.size, size - taken);
		if (ring_read(&socket->ring, taken, part.base, part.size) != (ssize_t)part.size)
			return -EFAULT;
		taken += part.size;
	}
	*truncated = taken < size;
	if (!(flags & MSG_PEEK)) {
		ring_drop(&socket->ring, size);
		socket->first = (socket->first + 1) % MESSAGES_MAX;
		socket->count--;
		if (socket->peer)
			file_wake(&socket->peer->can_send);
	}
	return flags & MSG_TRUNC ? size : taken;
}

/* Of a stream's parts only the first may wait. */
static ssize_t transfer_parts(struct file *file, const struct parts *parts, u32 flags, bool sending, bool *truncated)
{
	struct iovec part;
	ssize_t done = 0;

	if (file->inode->socket->type != SOCK_STREAM)
		return sending ? message_send(file, parts, flags) : message_receive(file, parts, flags, truncated);
	for (u64 i = 0; i < parts->count; i++) {
		if (part_at(parts, i, &part))
			return done ? done : -EFAULT;
		if (done && !sending && !(flags & MSG_WAITALL))
			flags |= MSG_DONTWAIT;
		ssize_t moved = sending ? stream_send(file, part.base, part.size, flags)
					: stream_receive(file, part.base, part.size, flags);
		if (moved < 0)
			return done ? done : moved;
		done += moved;
		if ((u64)moved < part.size || (flags & MSG_PEEK && moved))
			break;
	}
	return done;
}

static ssize_t transfer(struct file *file, const struct parts *parts, u32 flags, bool sending, bool *truncated)
{
	if (!S_ISSOCK(file->inode->mode))
		return -ENOTSOCK;
	file_ref(file);		/* another thread may close it meanwhile */
	ssize_t result = transfer_parts(file, parts, flags, sending, truncated);
	file_unref(file);
	return result;
}

ssize_t socket_transfer(struct file *file, const struct iovec *vectors, u64 count, u32 flags, bool sending)
{
	bool truncated;
	return transfer(file, &(struct parts){ .vectors = vectors, .count = count }, flags, sending, &truncated);
}

/* Streams take the short way: one buffer, no parts. */
ssize_t socket_send(struct file *file, const void *buffer, size_t size, u32 flags)
{
	if (!S_ISSOCK(file->inode->mode) || file->inode->socket->type != SOCK_STREAM)
		return transfer(file, &(struct parts){ { (void *)buffer, size }, NULL, 1 }, flags, true, NULL);
	file_ref(file);
	ssize_t result = stream_send(file, buffer, size, flags);
	file_unref(file);
	return result;
}

ssize_t socket_receive(struct file *file, void *buffer, size_t size, u32 flags)
{
	bool truncated;
	if (!S_ISSOCK(file->inode->mode) || file->inode->socket->type != SOCK_STREAM)
		return transfer(file, &(struct parts){ { buffer, size }, NULL, 1 }, flags, false, &truncated);
	file_ref(file);
	ssize_t result = stream_receive(file, buffer, size, flags);
	file_unref(file);
	return result;
}

static ssize_t socket_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	return socket_receive(file, buffer, size, 0);
}

static ssize_t socket_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	return socket_send(file, buffer, size, 0);
}

static u32 socket_poll(struct file *file)
{
	struct socket *socket = file->inode->socket;
	u32 events = send_ready(socket, PIPE_BUF) ? POLLOUT | POLLWRNORM : 0;

	if (receive_ready(socket))
		events |= POLLIN | POLLRDNORM;
	if (ended(socket))
		events |= POLLRDHUP;
	if ((ended(socket) && !socket->peer) || (socket->no_receive && socket->no_send))
		events |= POLLHUP;
	return events;
}

static long socket_ioctl(struct file *file, u32 request, u64 argument)
{
	struct socket *socket = file->inode->socket;
	int available = socket->type == SOCK_STREAM ? socket->ring.used : socket->count ? socket->sizes[socket->first] : 0;
	return request == FIONREAD ? copy_to_user((void *)argument, &available, sizeof(available)) : -ENOTTY;
}

static void wake_both(struct socket *socket)
{
	file_wake(&socket->can_receive);
	file_wake(&socket->can_send);
}

static void socket_release(struct file *file)
{
	struct socket *peer = file->inode->socket->peer;
	if (!peer)
		return;
	peer->peer = NULL;
	file->inode->socket->peer = NULL;
	wake_both(peer);
}

void socket_free(struct socket *socket)
{
	ring_free(&socket->ring);
	kfree(socket);
}

static const struct file_operations socket_operations = {
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.ioctl = socket_ioctl,
	.release = socket_release,
};

static struct file *socket_create(u32 type, u32 flags)
{
	struct inode *inode = inode_create(S_IFSOCK | 0777);
	struct file *file = NULL;
	if (!inode)
		return NULL;
	struct socket *socket = inode->socket = kmalloc(sizeof(*socket));
	if (socket) {
		socket->type = type;
		wait_queue_init(&socket->can_receive);
		wait_queue_init(&socket->can_send);
		file = file_create(inode, &socket_operations, O_RDWR | (flags & SOCK_NONBLOCK));
	}
	inode_unref(inode);
	return file;
}

long sys_socketpair(u32 family, u32 type_and_flags, u32 protocol, int *descriptors)
{
	u32 type = type_and_flags & 15;
	if (family != AF_UNIX)
		return -EAFNOSUPPORT;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	if (protocol > 1 || type_and_flags & ~(15u | SOCK_NONBLOCK | SOCK_CLOEXEC))
		return protocol > 1 ? -EPROTONOSUPPORT : -EINVAL;
	struct file *first = socket_create(type, type_and_flags);
	struct file *second = socket_create(type, type_and_flags);
	if (first && second) {
		first->inode->socket->peer = second->inode->socket;
		second->inode->socket->peer = first->inode->socket;
	}
	return descriptor_install_pair(first, second, descriptors, type_and_flags & SOCK_CLOEXEC);
}

long sys_socket(u32 family, u32 type, u32 protocol)
{
	return -EAFNOSUPPORT;
}

static long not_a_socket(const struct file *file)
{
	return !file ? -EBADF : S_ISSOCK(file->inode->mode) ? 0 : -ENOTSOCK;
}

long sys_connect(int descriptor, const void *address, u32 size)
{
	return not_a_socket(file_get(descriptor)) ?: -EISCONN;
}

long sys_sendto(int descriptor, const void *buffer, size_t size, u32 flags, const void *address, u32 address_size)
{
	struct file *file = file_get(descriptor);
	if (!file || (address && address_size))
		return not_a_socket(file) ?: -EISCONN;
	return socket_send(file, buffer, size, flags);
}

/* The other end has no name: its address has no bytes. */
long sys_recvfrom(int descriptor, void *buffer, size_t size, u32 flags, void *address, u32 *address_size)
{
	struct file *file = file_get(descriptor);
	const u32 none = 0;
	ssize_t result = file ? socket_receive(file, buffer, size, flags) : -EBADF;
	if (result >= 0 && address && address_size && copy_to_user(address_size, &none, sizeof(none)))
		return -EFAULT;
	return result;
}

static long message_header(const struct file *file, const struct msghdr *user, struct msghdr *message)
{
	if (!file || !S_ISSOCK(file->inode->mode))
		return not_a_socket(file);
	if (copy_from_user(message, user, sizeof(*message)))
		return -EFAULT;
	return message->vectors_count > IOV_MAX ? -EMSGSIZE : 0;
}

long sys_sendmsg(int descriptor, const struct msghdr *user, u32 flags)
{
	struct file *file = file_get(descriptor);
	struct msghdr message;
	TRY(message_header(file, user, &message));
	if (message.control_size)
		return -EOPNOTSUPP;
	if (message.name && message.name_size)
		return -EISCONN;
	return socket_transfer(file, message.vectors, message.vectors_count, flags, true);
}

long sys_recvmsg(int descriptor, struct msghdr *user, u32 flags)
{
	struct file *file = file_get(descriptor);
	struct msghdr message;
	bool truncated = false;
	TRY(message_header(file, user, &message));
	struct parts parts = { .vectors = message.vectors, .count = message.vectors_count };
	ssize_t result = transfer(file, &parts, flags, false, &truncated);
	if (result < 0)
		return result;
	message.name_size = message.control_size = 0;
	message.flags = truncated ? MSG_TRUNC : 0;
	return copy_to_user(user, &message, sizeof(message)) ? -EFAULT : result;
}

long sys_shutdown(int descriptor, u32 how)
{
	struct file *file = file_get(descriptor);
	if (!file || !S_ISSOCK(file->inode->mode) || how > SHUT_RDWR)
		return not_a_socket(file) ?: -EINVAL;
	struct socket *socket = file->inode->socket, *peer = socket->peer;
	bool receive = how != SHUT_WR, send = how != SHUT_RD;
	socket->no_receive |= receive;
	socket->no_send |= send;
	wake_both(socket);
	if (peer && socket->type != SOCK_DGRAM) {
		peer->no_receive |= send;
		peer->no_send |= receive;
	}
	if (peer)
		wake_both(peer);
	return 0;
}
