/*
 * Pipes (POSIX.1 pipe, read, write) and pairs of stream sockets (POSIX.1 socketpair, send, recv). Both
 * are made of channels: bytes on their way in one direction. A pipe is one of them, a socket pair two.
 */
#include "internal.h"
#include "network.h"

enum { RING_SIZE = 65536 };

struct channel {
	u8 *ring;				/* RING_SIZE bytes */
	u32 start, used;			/* in the ring */
	u32 ends;				/* open files: 2, or 1 */
	bool over;				/* an end is closed: what is in the ring is the last */
	struct wait_queue can_read, can_write;
};

static struct channel *channel_create(void)
{
	struct channel *channel = kmalloc(sizeof(*channel));
	if (!channel || !(channel->ring = kmalloc(RING_SIZE))) {
		kfree(channel);
		return NULL;
	}
	channel->ends = 2;
	wait_queue_init(&channel->can_read);
	wait_queue_init(&channel->can_write);
	return channel;
}

static void channel_close(struct channel *channel)
{
	if (!channel)
		return;
	channel->over = true;
	file_wake(&channel->can_read);
	file_wake(&channel->can_write);
	if (--channel->ends > 0)
		return;
	kfree(channel->ring);
	kfree(channel);
}

static u32 room(const struct channel *channel) { return RING_SIZE - channel->used; }

/* Copies in behind the used bytes, or out from the first on. 0 or -EFAULT. */
static inline long ring_copy(struct channel *channel, void *buffer, size_t size, bool writing)
{
	u32 at = (channel->start + (writing ? channel->used : 0)) % RING_SIZE;
	size_t first = MIN(size, RING_SIZE - at);
	long error = writing ? copy_from_user(channel->ring + at, buffer, first)
			     : copy_to_user(buffer, channel->ring + at, first);
	if (error || first == size)
		return error;
	return writing ? copy_from_user(channel->ring, buffer + first, size - first)
		       : copy_to_user(buffer + first, channel->ring, size - first);
}

/* `flags` here and below: O_NONBLOCK of the file, MSG_DONTWAIT and MSG_NOSIGNAL of the call. */
static ssize_t channel_read(struct channel *channel, void *buffer, size_t size, u32 flags)
{
	if (size && !channel->used && !channel->over) {
		if (flags & (O_NONBLOCK | MSG_DONTWAIT))
			return -EAGAIN;
		TRY(restart_if_interrupted(wait_event(&channel->can_read, channel->used || channel->over)));
	}
	size = MIN(size, channel->used);
	TRY(ring_copy(channel, buffer, size, false));
	channel->used -= size;
	/* An empty ring begins again at its start: short messages stay in the caches. */
	channel->start = channel->used ? (channel->start + size) % RING_SIZE : 0;
	if (size)
		file_wake(&channel->can_write);
	return size;
}

/* Up to PIPE_BUF bytes go in at once or not at all; more may go in pieces. */
static ssize_t channel_write(struct channel *channel, const void *buffer, size_t size, u32 flags)
{
	u32 least = size <= PIPE_BUF ? size : 1;
	size_t done = 0;
	long error = 0;
	while (done < size && !error) {
		if (channel->over) {
			if (!(flags & MSG_NOSIGNAL))
				signal_send(current_process(), current_thread(), SIGPIPE);
			error = -EPIPE;
		} else if (room(channel) < least) {
			error = flags & (O_NONBLOCK | MSG_DONTWAIT) ? -EAGAIN : restart_if_interrupted(
				wait_event(&channel->can_write, room(channel) >= least || channel->over));
		} else {
			u32 piece = MIN(size - done, room(channel));
			error = ring_copy(channel, (void *)buffer + done, piece, true);
			if (!error) {
				channel->used += piece;
				done += piece;
				file_wake(&channel->can_read);
			}
		}
	}
	return done ? (ssize_t)done : error;
}

static ssize_t stream_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	return channel_read(file->inode->stream.in, buffer, size, file->flags & O_NONBLOCK);
}

static ssize_t stream_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	return channel_write(file->inode->stream.out, buffer, size, file->flags & O_NONBLOCK);
}

/* Of the ends of a pipe and of a socket Linux tells different things. */
static u32 stream_poll(struct file *file)
{
	const struct channel *in = file->inode->stream.in, *out = file->inode->stream.out;
	bool socket = S_ISSOCK(file->inode->mode);
	u32 events = (in && in->used ? POLLIN : 0) | (out && room(out) >= PIPE_BUF ? POLLOUT : 0);
	if (in && in->over)
		events |= socket ? POLLIN | POLLOUT | POLLHUP | POLLRDHUP : POLLHUP;
	else if (out && out->over)
		events |= POLLERR;
	return events;
}

static void stream_release(struct file *file)
{
	channel_close(file->inode->stream.in);
	channel_close(file->inode->stream.out);
}

#if CONFIG_NET
static void stream_queues(struct file *file, struct wait_queue *queues[2])
{
	queues[0] = file->inode->stream.in ? &file->inode->stream.in->can_read : NULL;
	queues[1] = file->inode->stream.out ? &file->inode->stream.out->can_write : NULL;
}
#endif

static const struct file_operations stream_operations = {
	.read = stream_read, .write = stream_write, .poll = stream_poll, .release = stream_release,
#if CONFIG_NET
	.queues = stream_queues,
#endif
};

/*
 * A pipe's end has one channel, a socket two. Takes them in failure (NULL) too, or if there was no memory for one
 * of them.
 */
static struct file *stream_create(u32 mode, struct channel *in, struct channel *out, u32 flags)
{
	bool complete = S_ISSOCK(mode) ? in && out : in || out;
	struct inode *inode = complete ? inode_create(mode) : NULL;
	struct file *file = NULL;
	if (inode) {
		inode->operations = &stream_operations;
		inode->stream.in = in;
		inode->stream.out = out;
		file = file_create(inode, flags);
		inode_unref(inode);
	}
	if (!file) {
		channel_close(in);
		channel_close(out);
	}
	return file;
}

/* Gives both files their descriptors, or closes them. */
static long install_pair(struct file *first, struct file *second, int *to, bool close_on_exec)
{
	int pair[2];
	pair[0] = descriptor_install(first, 0, close_on_exec);
	pair[1] = descriptor_install(second, 0, close_on_exec);
	if (pair[0] >= 0 && pair[1] >= 0 && !copy_to_user(to, pair, sizeof(pair)))
		return 0;
	sys_close(pair[0]);
	sys_close(pair[1]);
	return pair[0] < 0 ? pair[0] : pair[1] < 0 ? pair[1] : -EFAULT;
}

long sys_pipe2(int *descriptors, u32 flags)
{
	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	struct channel *channel = channel_create();
	struct file *reader = stream_create(S_IFIFO | 0600, channel, NULL, O_RDONLY | (flags & O_NONBLOCK));
	struct file *writer = stream_create(S_IFIFO | 0600, NULL, channel, O_WRONLY | (flags & O_NONBLOCK));
	return install_pair(reader, writer, descriptors, flags & O_CLOEXEC);
}
long sys_pipe(int *descriptors) { return sys_pipe2(descriptors, 0); }

long sys_socketpair(u32 family, u32 type, u32 protocol, int *descriptors)
{
	u32 flags = O_RDWR | (type & SOCK_NONBLOCK);
	if (family != AF_UNIX || (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM || protocol > 1)
		return family != AF_UNIX ? -EAFNOSUPPORT : -ESOCKTNOSUPPORT;
	struct channel *there = channel_create(), *back = channel_create();
	struct file *first = stream_create(S_IFSOCK | 0777, back, there, flags);
	struct file *second = stream_create(S_IFSOCK | 0777, there, back, flags);
	return install_pair(first, second, descriptors, type & SOCK_CLOEXEC);
}

static inline ssize_t socket_transfer(struct file *file, void *buffer, size_t size, u32 flags, bool sending)
{
#if CONFIG_NET
	if (is_inet(file))
		return sending ? inet_send(file, buffer, size, flags) : inet_receive(file, buffer, size, flags);
#endif
	if (!S_ISSOCK(file->inode->mode) || flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL))
		return S_ISSOCK(file->inode->mode) ? -EOPNOTSUPP : -ENOTSOCK;
	file_ref(file);		/* another thread may close it meanwhile */
	flags |= file->flags & O_NONBLOCK;
	ssize_t result = sending ? channel_write(file->inode->stream.out, buffer, size, flags)
				 : channel_read(file->inode->stream.in, buffer, size, flags);
	file_unref(file);
	return result;
}
ssize_t socket_send(struct file *file, const void *buffer, size_t size, u32 flags)
{
	return socket_transfer(file, (void *)buffer, size, flags, true);
}
ssize_t socket_receive(struct file *file, void *buffer, size_t size, u32 flags)
{
	return socket_transfer(file, buffer, size, flags, false);
}

#if !CONFIG_NET		/* else fs/socket-messages.c has them */
/* The other end has no name, and none can be given. */
long sys_sendto(int descriptor, const void *buffer, size_t size, u32 flags, const void *address)
{
	struct file *file = file_get(descriptor);
	return !file ? -EBADF : address ? -EISCONN : socket_send(file, buffer, size, flags);
}
long sys_recvfrom(int descriptor, void *buffer, size_t size, u32 flags, void *address)
{
	struct file *file = file_get(descriptor);
	return !file ? -EBADF : address ? -EOPNOTSUPP : socket_receive(file, buffer, size, flags);
}
#endif
