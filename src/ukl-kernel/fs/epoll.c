/*
 * epoll (Linux's epoll(7)): a set of files, and the list of those that may be ready. A file is put on the list where
 * its waiters are woken, file_wake(); whether it is ready is asked of it when the list is read. So a call costs as
 * much as there are files that something happened to, not as there are files.
 *
 * The lists are touched by file_wake() in interrupt handlers too, and therefore with interrupts off.
 */
#include "internal.h"
#include "network.h"

/* A file in an epoll. */
struct watch {
	struct epoll *epoll;
	struct file *file;
	struct watch *next;		/* of the file */
	int descriptor;
	u32 events;			/* that are wanted; 0: EPOLLONESHOT has told one */
	u64 data;
	struct hook { struct list link; struct watch *watch; } hooks[2];	/* in the file's wait queues */
	struct list ready, all;		/* in the epoll */
};

struct epoll {
	struct wait_queue wait;
	struct list ready, all;
};

enum { BATCH = 64 };			/* events that a call tells at most */
#define ALWAYS	(POLLERR | POLLHUP)
#define OPTIONS	(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE)

static void make_ready(struct watch *watch)
{
	u64 flags = irq_save();
	if (list_empty(&watch->ready)) {
		list_add_tail(&watch->epoll->ready, &watch->ready);
		file_wake(&watch->epoll->wait);
	}
	irq_restore(flags);
}

void epoll_notify(struct wait_queue *queue)
{
	struct hook *hook;
	u64 flags = irq_save();
	list_for_each(hook, &queue->watchers, link)
		make_ready(hook->watch);
	irq_restore(flags);
}

static u32 events_of(const struct watch *watch)
{
	u32 wanted = watch->events & ~OPTIONS;
	return wanted ? watch->file->operations->poll(watch->file) & (wanted | ALWAYS) : 0;
}

static void watch_free(struct watch *watch)
{
	struct watch **link = &watch->file->watches;
	while (*link != watch)
		link = &(*link)->next;
	*link = watch->next;
	u64 flags = irq_save();
	for (int i = 0; i < 2; i++)
		list_remove(&watch->hooks[i].link);
	list_remove(&watch->ready);
	list_remove(&watch->all);
	irq_restore(flags);
	kfree(watch);
}

void epoll_forget(struct file *file)
{
	while (file->watches)
		watch_free(file->watches);
}

static void epoll_release(struct file *file)
{
	struct epoll *epoll = file->inode->special;
	while (!list_empty(&epoll->all))
		watch_free(list_entry(epoll->all.next, struct watch, all));
	kfree(epoll);
}

static u32 epoll_poll(struct file *file)
{
	struct epoll *epoll = file->inode->special;
	struct watch *watch;
	list_for_each(watch, &epoll->ready, ready)
		if (events_of(watch))
			return POLLIN;
	return 0;
}

/* No `queues`: an epoll cannot be in an epoll. */
static const struct file_operations epoll_operations = { .poll = epoll_poll, .release = epoll_release };

long sys_epoll_create1(u32 flags)
{
	if (flags & ~(u32)O_CLOEXEC)
		return -EINVAL;
	struct epoll *epoll = kmalloc(sizeof(*epoll));
	struct inode *inode = epoll ? inode_create(0600) : NULL;
	if (!inode) {
		kfree(epoll);
		return -ENOMEM;
	}
	wait_queue_init(&epoll->wait);
	list_init(&epoll->ready);
	list_init(&epoll->all);
	inode->operations = &epoll_operations;
	inode->special = epoll;
	struct file *file = file_create(inode, O_RDWR);
	inode_unref(inode);
	if (!file)
		kfree(epoll);
	return descriptor_install(file, 0, flags & O_CLOEXEC);
}
long sys_epoll_create(int size) { return size > 0 ? sys_epoll_create1(0) : -EINVAL; }

static long watch_add(struct epoll *epoll, struct file *file, int descriptor, struct watch **result)
{
	struct wait_queue *queues[2] = {};
	struct watch *watch = kmalloc(sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->epoll = epoll;
	watch->file = file;
	watch->descriptor = descriptor;
	watch->next = file->watches;
	file->watches = watch;
	list_init(&watch->ready);
	file->operations->queues(file, queues);
	u64 flags = irq_save();
	for (int i = 0; i < 2; i++) {
		watch->hooks[i].watch = watch;
		list_init(&watch->hooks[i].link);
		if (queues[i])
			list_add_tail(&queues[i]->watchers, &watch->hooks[i].link);
	}
	list_add_tail(&epoll->all, &watch->all);
	irq_restore(flags);
	*result = watch;
	return 0;
}

long sys_epoll_ctl(int set, u32 operation, int descriptor, const struct epoll_event *user)
{
	struct epoll_event event = {};
	/* First: it may wait for a page, and another thread close the files meanwhile. */
	if (operation != EPOLL_CTL_DEL && copy_from_user(&event, user, sizeof(event)))
		return -EFAULT;
	struct file *epoll_file = file_get(set), *file = file_get(descriptor);
	if (!epoll_file || !file)
		return -EBADF;
	if (epoll_file->operations != &epoll_operations || file == epoll_file)
		return -EINVAL;
	if (!file->operations->poll || !file->operations->queues)
		return file->operations == &epoll_operations ? -EINVAL : -EPERM;
	struct epoll *epoll = epoll_file->inode->special;
	struct watch *watch = file->watches;
	while (watch && (watch->epoll != epoll || watch->descriptor != descriptor))
		watch = watch->next;
	switch (operation) {
	case EPOLL_CTL_ADD:
		if (watch)
			return -EEXIST;
		TRY(watch_add(epoll, file, descriptor, &watch));
		break;
	case EPOLL_CTL_MOD:
		if (!watch)
			return -ENOENT;
		break;
	case EPOLL_CTL_DEL:
		if (watch)
			watch_free(watch);
		return watch ? 0 : -ENOENT;
	default:
		return -EINVAL;
	}
	watch->events = event.events | ALWAYS;
	watch->data = event.data;
	if (events_of(watch))
		make_ready(watch);
	return 0;
}

/* Takes from the list what is ready: with EPOLLET and EPOLLONESHOT for good, else until it is not ready any more. */
static u32 collect(struct epoll *epoll, struct epoll_event *events, u32 most)
{
	struct list looked_at = LIST_INIT(looked_at);
	u32 count = 0;
	u64 flags = irq_save();
	while (!list_empty(&epoll->ready) && count < most) {
		struct watch *watch = list_entry(epoll->ready.next, struct watch, ready);
		list_remove(&watch->ready);
		u32 found = events_of(watch);
		if (!found)
			continue;
		events[count++] = (struct epoll_event){ found, watch->data };
		if (watch->events & EPOLLONESHOT)
			watch->events &= OPTIONS;
		else if (!(watch->events & EPOLLET))
			list_add_tail(&looked_at, &watch->ready);
	}
	while (!list_empty(&looked_at)) {	/* behind the others: all get their turn */
		struct list *link = looked_at.next;
		list_remove(link);
		list_add_tail(&epoll->ready, link);
	}
	irq_restore(flags);
	return count;
}

static long wait_for_events(struct epoll *epoll, struct epoll_event *user, u32 most, int milliseconds)
{
	struct epoll_event events[BATCH];
	u64 deadline = milliseconds < 0 ? 0 : time_now() + (u32)milliseconds * 1000000UL;
	for (;;) {
		network_poll();
		u32 count = collect(epoll, events, MIN(most, (u32)BATCH));
		if (count)
			return copy_to_user(user, events, count * sizeof(*user)) ? -EFAULT : (long)count;
		long error = milliseconds ? wait_event_until(&epoll->wait, !list_empty(&epoll->ready), deadline) : -ETIMEDOUT;
		if (error)
			return error == -ETIMEDOUT ? 0 : error;
	}
}

long sys_epoll_pwait(int set, struct epoll_event *user, int most, int milliseconds, const u64 *mask)
{
	struct thread *thread = current_thread();
	struct file *file = file_get(set);
	u64 masked;
	if (!file)
		return -EBADF;
	if (file->operations != &epoll_operations || most <= 0)
		return -EINVAL;
	if (mask) {
		TRY(copy_from_user(&masked, mask, sizeof(masked)));
		thread->saved_mask = thread->signal_mask;
		thread->signal_mask = masked & ~UNBLOCKABLE;
	}
	file_ref(file);
	long result = wait_for_events(file->inode->special, user, (u32)most, milliseconds);
	file_unref(file);
	/* If a signal ended the wait, its handler runs before the old mask comes back. */
	if (mask && result == -EINTR)
		thread->restore_mask = true;
	else if (mask)
		thread->signal_mask = thread->saved_mask;
	return result;
}
long sys_epoll_wait(int set, struct epoll_event *user, int most, int milliseconds)
{
	return sys_epoll_pwait(set, user, most, milliseconds, NULL);
}
