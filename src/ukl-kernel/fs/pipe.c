/* Pipes and FIFOs (POSIX.1 pipe, read, write): a ring between descriptors that write and descriptors that read. */
#include "internal.h"

struct pipe {
	struct ring ring;
	u32 readers, writers;			/* open files */
	u32 readers_ever, writers_ever;		/* so that open of a FIFO sees one that came and went */
	struct wait_queue can_read, can_write;
};

static struct pipe *pipe_create(void)
{
	struct pipe *pipe = kmalloc(sizeof(*pipe));
	if (pipe) {
		wait_queue_init(&pipe->can_read);
		wait_queue_init(&pipe->can_write);
	}
	return pipe;
}

void pipe_free(struct pipe *pipe)
{
	ring_free(&pipe->ring);
	kfree(pipe);
}

static ssize_t pipe_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	struct pipe *pipe = file->inode->pipe;

	if (size == 0)
		return 0;
	if (!pipe->ring.used) {
		if (!pipe->writers)
			return 0;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		long error = wait_event(&pipe->can_read, pipe->ring.used || !pipe->writers);
		if (error)
			return restart_if_interrupted(error);
	}
	ssize_t done = ring_read(&pipe->ring, 0, buffer, MIN(size, pipe->ring.used));
	if (done > 0) {
		ring_drop(&pipe->ring, done);
		file_wake(&pipe->can_write);
	}
	return done;
}

/* Up to PIPE_BUF bytes go in at once or not at all; more may go in pieces. */
static ssize_t pipe_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	struct pipe *pipe = file->inode->pipe;
	u32 least = size <= PIPE_BUF ? size : 1;
	size_t done = 0;
	ssize_t result = 0;

	while (done < size && result >= 0) {
		if (!pipe->readers) {
			signal_send_thread(current_thread(), SIGPIPE);
			result = -EPIPE;
		} else if (ring_room(&pipe->ring) >= least) {
			result = ring_write(&pipe->ring, 0, buffer + done, MIN(size - done, ring_room(&pipe->ring)));
			if (result > 0 && (size > PIPE_BUF || result == (ssize_t)size)) {
				ring_commit(&pipe->ring, result);
				file_wake(&pipe->can_read);
				done += result;
			} else if (result >= 0) {
				result = -EFAULT;	/* half of what must be whole */
			}
		} else if (file->flags & O_NONBLOCK) {
			result = -EAGAIN;
		} else {
			result = restart_if_interrupted(
				wait_event(&pipe->can_write, ring_room(&pipe->ring) >= least || !pipe->readers));
		}
	}
	return done ? (ssize_t)done : result;
}

static u32 pipe_poll(struct file *file)
{
	struct pipe *pipe = file->inode->pipe;
	u32 access = file->flags & O_ACCMODE, events = 0;

	if (access != O_WRONLY) {
		events |= pipe->ring.used ? POLLIN | POLLRDNORM : 0;
		events |= !pipe->writers && pipe->writers_ever ? POLLHUP : 0;
	}
	if (access != O_RDONLY) {
		events |= ring_room(&pipe->ring) >= PIPE_BUF ? POLLOUT | POLLWRNORM : 0;
		events |= !pipe->readers ? POLLERR : 0;
	}
	return events;
}

static long pipe_ioctl(struct file *file, u32 request, u64 argument)
{
	int used = file->inode->pipe->ring.used;
	return request == FIONREAD ? copy_to_user((void *)argument, &used, sizeof(used)) : -ENOTTY;
}

static void pipe_attach(struct pipe *pipe, u32 flags)
{
	u32 access = flags & O_ACCMODE;
	if (access != O_WRONLY)
		pipe->readers++, pipe->readers_ever++;
	if (access != O_RDONLY)
		pipe->writers++, pipe->writers_ever++;
	wake_all(&pipe->can_read);
	wake_all(&pipe->can_write);
}

static void pipe_release(struct file *file)
{
	struct pipe *pipe = file->inode->pipe;
	u32 access = file->flags & O_ACCMODE;

	if (access != O_WRONLY)
		pipe->readers--;
	if (access != O_RDONLY)
		pipe->writers--;
	file_wake(&pipe->can_read);
	file_wake(&pipe->can_write);
}

/* A FIFO's two ends wait for each other (POSIX.1 open); O_RDWR has both. */
static long fifo_open(struct file *file)
{
	u32 access = file->flags & O_ACCMODE;
	struct pipe *pipe = file->inode->pipe ?: (file->inode->pipe = pipe_create());
	long error = 0;

	if (!pipe)
		return -ENOMEM;
	if (access == O_WRONLY && file->flags & O_NONBLOCK && !pipe->readers)
		return -ENXIO;
	pipe_attach(pipe, file->flags);
	u32 readers = pipe->readers_ever, writers = pipe->writers_ever;
	if (access == O_WRONLY && !pipe->readers)
		error = wait_event(&pipe->can_write, pipe->readers_ever != readers);
	else if (access == O_RDONLY && !pipe->writers && !(file->flags & O_NONBLOCK))
		error = wait_event(&pipe->can_read, pipe->writers_ever != writers);
	if (error)
		pipe_release(file);
	return restart_if_interrupted(error);
}

const struct file_operations pipe_operations = {
	.open = fifo_open,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
};

long sys_pipe2(int *descriptors, u32 flags)
{
	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	struct inode *inode = inode_create(S_IFIFO | 0600);
	if (!inode)
		return -ENFILE;
	if (!(inode->pipe = pipe_create())) {
		inode_unref(inode);
		return -ENFILE;
	}
	struct file *reader = file_create(inode, &pipe_operations, O_RDONLY | (flags & O_NONBLOCK));
	struct file *writer = file_create(inode, &pipe_operations, O_WRONLY | (flags & O_NONBLOCK));
	inode_unref(inode);
	if (reader)
		pipe_attach(inode->pipe, O_RDONLY);
	if (writer)
		pipe_attach(inode->pipe, O_WRONLY);
	return descriptor_install_pair(reader, writer, descriptors, flags & O_CLOEXEC);
}

long sys_pipe(int *descriptors) { return sys_pipe2(descriptors, 0); }
