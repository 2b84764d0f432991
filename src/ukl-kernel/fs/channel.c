/*
 * Pipes (POSIX.1 pipe, read, write) and pairs of stream sockets (POSIX.1 socketpair, send, recv, shutdown). Both
 * are made of channels: bytes on their way in one direction. A pipe is one of them, a socket pair two.
 */
#include "internal.h"

enum { RING_PAGES = 16, RING_SIZE = RING_PAGES * PAGE_SIZE };

struct channel {
	u32 start, used;			/* in the ring of pages */
	u8 *pages[RING_PAGES];			/* come with the first byte that needs them, and stay */
	u32 ends;				/* open files: 2, or 1 */
	bool no_reader, no_writer;		/* closed, or shut down */
	struct wait_queue can_read, can_write;
};

static struct channel *channel_create(void)
{
	struct channel *channel = kmalloc(sizeof(*channel));
	if (channel) {
		channel->ends = 2;
		wait_queue_init(&channel->can_read);
		wait_queue_init(&channel->can_write);
	}
	return channel;
}

static void channel_shut(struct channel *channel, bool reader)
{
	if (reader)
		channel->no_reader = true;
	else
		channel->no_writer = true;
	file_wake(&channel->can_read);
	file_wake(&channel->can_write);
}

static void channel_close(struct channel *channel, bool reader)
{
	if (!channel)
		return;
	channel_shut(channel, reader);
	if (--channel->ends > 0)
		return;
	for (u32 i = 0; i < RING_PAGES; i++)
		if (channel->pages[i])
			page_unref(direct_to_physical(channel->pages[i]));
	kfree(channel);
}

static u32 room(const struct channel *channel) { return RING_SIZE - channel->used; }

/* Copies in behind the used bytes, or out from the first on. Bytes, -EFAULT or -ENOMEM. */
static inline ssize_t ring_copy(struct channel *channel, void *buffer, size_t size, bool writing)
{
	u32 at = channel->start + (writing ? channel->used : 0);

	for (size_t done = 0; done < size;) {
		u32 offset = (at + done) % PAGE_SIZE;
		size_t piece = MIN(size - done, PAGE_SIZE - offset);
		u8 **page = &channel->pages[(at + done) / PAGE_SIZE % RING_PAGES];
		if (!*page) {
			paddr_t frame = page_alloc();
			if (!frame)
				return done ? (ssize_t)done : -ENOMEM;
			*page = direct(frame);
		}
		long error = writing ? copy_from_user(*page + offset, buffer + done, piece)
				     : copy_to_user(buffer + done, *page + offset, piece);
		if (error)
			return done ? (ssize_t)done : error;
		done += piece;
	}
	return size;
}

static ssize_t channel_read(struct channel *channel, void *buffer, size_t size, bool no_wait)
{
	if (size && !channel->used && !channel->no_writer && !channel->no_reader) {
		if (no_wait)
			return -EAGAIN;
		TRY(restart_if_interrupted(wait_event(&channel->can_read, channel->used || channel->no_writer ||
									  channel->no_reader)));
	}
	ssize_t done = ring_copy(channel, buffer, MIN(size, channel->used), false);
	if (done > 0) {
		channel->used -= done;
		/* An empty ring begins again in its first page: short messages stay in memory that is in the caches. */
		channel->start = channel->used ? (channel->start + done) % RING_SIZE : 0;
		file_wake(&channel->can_write);
	}
	return done;
}

static bool broken(const struct channel *channel) { return channel->no_reader || channel->no_writer; }

/* Up to PIPE_BUF bytes go in at once or not at all; more may go in pieces. */
static ssize_t channel_write(struct channel *channel, const void *buffer, size_t size, bool no_wait, bool no_signal)
{
	u32 least = size <= PIPE_BUF ? size : 1;
	size_t done = 0;
	ssize_t result = 0;

	while (done < size && result >= 0) {
		if (broken(channel)) {
			if (!no_signal)
				signal_send_thread(current_thread(), SIGPIPE);
			result = -EPIPE;
		} else if (room(channel) >= least) {
			result = ring_copy(channel, (void *)buffer + done, MIN(size - done, room(channel)), true);
			if (result >= 0 && size <= PIPE_BUF && result < (ssize_t)size)
				result = -EFAULT;	/* half of what must be whole */
			if (result > 0) {
				channel->used += result;
				done += result;
				file_wake(&channel->can_read);
			}
		} else if (no_wait) {
			result = -EAGAIN;
		} else {
			result = restart_if_interrupted(
				wait_event(&channel->can_write, room(channel) >= least || broken(channel)));
		}
	}
	return done ? (ssize_t)done : result;
}

static ssize_t stream_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	return channel_read(file->inode->stream.in, buffer, size, file->flags & O_NONBLOCK);
}

static ssize_t stream_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	return channel_write(file->inode->stream.out, buffer, size, file->flags & O_NONBLOCK, false);
}

/* Of the ends of a pipe and of a socket Linux tells different things. */
static u32 stream_poll(struct file *file)
{
	const struct channel *in = file->inode->stream.in, *out = file->inode->stream.out;
	bool socket = S_ISSOCK(file->inode->mode), ended = in && (in->no_writer || in->no_reader);
	u32 events = 0;

	if (in && (in->used || (ended && socket)))
		events |= POLLIN | POLLRDNORM;
	if (out && (room(out) >= PIPE_BUF || (socket && broken(out))))
		events |= POLLOUT | POLLWRNORM;
	if (ended)
		events |= !socket ? POLLHUP : broken(out) ? POLLHUP | POLLRDHUP : POLLRDHUP;
	if (out && !socket && out->no_reader)
		events |= POLLERR;
	return events;
}

static long stream_ioctl(struct file *file, u32 request, u64 argument)
{
	int used = file->inode->stream.in ? file->inode->stream.in->used : 0;
	return request == FIONREAD ? copy_to_user((void *)argument, &used, sizeof(used)) : -ENOTTY;
}

static void stream_release(struct file *file)
{
	channel_close(file->inode->stream.in, true);
	channel_close(file->inode->stream.out, false);
}

static const struct file_operations stream_operations = {
	.read = stream_read,
	.write = stream_write,
	.poll = stream_poll,
	.ioctl = stream_ioctl,
	.release = stream_release,
};

/* Takes the ends that it names, in failure (NULL) too. */
static struct file *stream_create(u32 mode, struct channel *in, struct channel *out, u32 flags)
{
	struct inode *inode = inode_create(mode);
	struct file *file = inode ? file_create(inode, &stream_operations, flags) : NULL;

	if (inode) {
		inode->stream.in = in;
		inode->stream.out = out;
		inode_unref(inode);
	}
	if (!file) {
		channel_close(in, true);
		channel_close(out, false);
	}
	return file;
}

long sys_pipe2(int *descriptors, u32 flags)
{
	u32 kept = flags & O_NONBLOCK;
	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	struct channel *channel = channel_create();
	if (!channel)
		return -ENFILE;
	struct file *reader = stream_create(S_IFIFO | 0600, channel, NULL, O_RDONLY | kept);
	struct file *writer = stream_create(S_IFIFO | 0600, NULL, channel, O_WRONLY | kept);
	return descriptor_install_pair(reader, writer, descriptors, flags & O_CLOEXEC);
}

long sys_pipe(int *descriptors) { return sys_pipe2(descriptors, 0); }

long sys_socketpair(u32 family, u32 type, u32 protocol, int *descriptors)
{
	u32 flags = O_RDWR | (type & SOCK_NONBLOCK);
	if (family != AF_UNIX || (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM || protocol > 1)
		return family != AF_UNIX ? -EAFNOSUPPORT : -ESOCKTNOSUPPORT;
	struct channel *there = channel_create(), *back = channel_create();
	if (!there || !back) {
		kfree(there);
		kfree(back);
		return -ENFILE;
	}
	struct file *first = stream_create(S_IFSOCK | 0777, back, there, flags);
	struct file *second = stream_create(S_IFSOCK | 0777, there, back, flags);
	return descriptor_install_pair(first, second, descriptors, type & SOCK_CLOEXEC);
}

static inline ssize_t socket_transfer(struct file *file, void *buffer, size_t size, u32 flags, bool sending)
{
	bool no_wait = (file->flags & O_NONBLOCK) || (flags & MSG_DONTWAIT);
	if (!S_ISSOCK(file->inode->mode) || flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL))
		return S_ISSOCK(file->inode->mode) ? -EOPNOTSUPP : -ENOTSOCK;
	file_ref(file);		/* another thread may close it meanwhile */
	ssize_t result = sending ? channel_write(file->inode->stream.out, buffer, size, no_wait, flags & MSG_NOSIGNAL)
				 : channel_read(file->inode->stream.in, buffer, size, no_wait);
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

long sys_shutdown(int descriptor, u32 how)
{
	struct file *file = file_get(descriptor);
	if (!file || !S_ISSOCK(file->inode->mode) || how > SHUT_RDWR)
		return !file ? -EBADF : how > SHUT_RDWR ? -EINVAL : -ENOTSOCK;
	if (how != SHUT_WR)
		channel_shut(file->inode->stream.in, true);
	if (how != SHUT_RD)
		channel_shut(file->inode->stream.out, false);
	return 0;
}
