/* eventfd: a counter as a file (Linux's eventfd(2)). */
#include "internal.h"

struct counter {
	u64 value;
	bool semaphore;			/* EFD_SEMAPHORE: a read takes one, not all */
	struct wait_queue can_read, can_write;
};
enum { EFD_SEMAPHORE = 1 };
#define VALUE_MAX (~0UL - 1)

static ssize_t counter_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	struct counter *counter = file->inode->special;
	if (size < sizeof(u64))
		return -EINVAL;
	if (!counter->value && file->flags & O_NONBLOCK)
		return -EAGAIN;
	TRY(restart_if_interrupted(wait_event(&counter->can_read, counter->value)));
	u64 taken = counter->semaphore ? 1 : counter->value;
	counter->value -= taken;
	file_wake(&counter->can_write);
	return copy_to_user(buffer, &taken, sizeof(taken)) ?: (ssize_t)sizeof(taken);
}

static ssize_t counter_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	struct counter *counter = file->inode->special;
	u64 added;
	if (size < sizeof(added))
		return -EINVAL;
	TRY(copy_from_user(&added, buffer, sizeof(added)));
	if (added == ~0UL)
		return -EINVAL;
	if (VALUE_MAX - counter->value < added && file->flags & O_NONBLOCK)
		return -EAGAIN;
	TRY(restart_if_interrupted(wait_event(&counter->can_write, VALUE_MAX - counter->value >= added)));
	counter->value += added;
	file_wake(&counter->can_read);
	return sizeof(added);
}

static u32 counter_poll(struct file *file)
{
	const struct counter *counter = file->inode->special;
	return (counter->value ? POLLIN : 0) | (counter->value < VALUE_MAX ? POLLOUT : 0);
}

static void counter_release(struct file *file) { kfree(file->inode->special); }

static void counter_queues(struct file *file, struct wait_queue *queues[2])
{
	struct counter *counter = file->inode->special;
	queues[0] = &counter->can_read;
	queues[1] = &counter->can_write;
}

static const struct file_operations counter_operations = {
	.read = counter_read, .write = counter_write, .poll = counter_poll, .release = counter_release,
	.queues = counter_queues,
};

long sys_eventfd2(u32 value, u32 flags)
{
	if (flags & ~(u32)(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	struct counter *counter = kmalloc(sizeof(*counter));
	struct inode *inode = counter ? inode_create(0600) : NULL;
	if (!inode) {
		kfree(counter);
		return -ENOMEM;
	}
	counter->value = value;
	counter->semaphore = flags & EFD_SEMAPHORE;
	wait_queue_init(&counter->can_read);
	wait_queue_init(&counter->can_write);
	inode->operations = &counter_operations;
	inode->special = counter;
	struct file *file = file_create(inode, O_RDWR | (flags & O_NONBLOCK));
	inode_unref(inode);
	if (!file)
		kfree(counter);
	return descriptor_install(file, 0, flags & O_CLOEXEC);
}
long sys_eventfd(u32 value) { return sys_eventfd2(value, 0); }
