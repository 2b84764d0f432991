/* poll and select: waiting for any of several files, for a time, for a signal. */
#include "internal.h"

struct wait_queue poll_waiters = WAIT_QUEUE_INIT(poll_waiters);

/* How a call waits: until when (0: without end), and with which signals blocked. */
struct limits { u64 deadline, mask; bool masked; };

/* `time`: a timespec, or with unit 1000 a timeval; NULL: no end. */
static long limits_from_user(struct limits *limits, const void *time, u32 unit, const u64 *mask)
{
	struct timespec copy;
	*limits = (struct limits){ .masked = mask };
	if ((time && copy_from_user(&copy, time, sizeof(copy))) ||
	    (mask && copy_from_user(&limits->mask, mask, sizeof(limits->mask))))
		return -EFAULT;
	if (!time)
		return 0;
	if (copy.seconds < 0 || (u64)copy.nanoseconds >= NS_PER_SECOND / unit)
		return -EINVAL;
	u64 seconds = MIN((u64)copy.seconds, 1UL << 32);
	limits->deadline = time_now() + seconds * NS_PER_SECOND + copy.nanoseconds * unit;
	return 0;
}

/* The core of all four calls. `scan` looks at the files: how many are ready, or an error. */
static long wait_ready(long (*scan)(void *what), void *what, const struct limits *limits)
{
	struct thread *thread = current_thread();
	long ready;
	if (limits->masked) {
		thread->saved_mask = thread->signal_mask;
		thread->signal_mask = limits->mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	}
	long error = wait_event_until(&poll_waiters, (ready = scan(what)) != 0, limits->deadline);
	/* If a signal ended the wait, its handler runs before the old mask comes back. */
	if (limits->masked && error == -EINTR)
		thread->restore_mask = true;
	else if (limits->masked)
		thread->signal_mask = thread->saved_mask;
	return error == -EINTR ? -ERESTARTNOHAND : error == -ETIMEDOUT ? 0 : ready;
}

static u32 events_of(struct file *file)
{
	return !file ? POLLNVAL : file->operations->poll ? file->operations->poll(file) : POLLIN | POLLOUT;
}

struct poll { u32 count; struct pollfd files[FILES_MAX]; };

static long poll_scan(void *what)
{
	struct poll *poll = what;
	long ready = 0;
	for (struct pollfd *p = poll->files; p < poll->files + poll->count; p++) {
		u32 wanted = p->events | POLLERR | POLLHUP | POLLNVAL;
		p->found = p->descriptor < 0 ? 0 : events_of(file_get(p->descriptor)) & wanted;
		ready += p->found != 0;
	}
	return ready;
}

static long poll_user(struct pollfd *user, u32 count, const struct limits *limits)
{
	struct poll poll = { .count = count };
	if (count > FILES_MAX)
		return -EINVAL;
	if (copy_from_user(poll.files, user, count * sizeof(*user)))
		return -EFAULT;
	long ready = wait_ready(poll_scan, &poll, limits);
	return ready >= 0 && copy_to_user(user, poll.files, count * sizeof(*user)) ? -EFAULT : ready;
}

long sys_poll(struct pollfd *user, u32 count, int milliseconds)
{
	struct limits limits = { .deadline = milliseconds < 0 ? 0 : time_now() + milliseconds * 1000000UL };
	return poll_user(user, count, &limits);
}

long sys_ppoll(struct pollfd *user, u32 count, const struct timespec *timeout, const u64 *mask)
{
	struct limits limits;
	TRY(limits_from_user(&limits, timeout, 1, mask));
	return poll_user(user, count, &limits);
}

enum { SETS = 3, WORDS = FILES_MAX / 64 };	/* read, write, except */
struct select { int count; u64 wanted[SETS][WORDS], found[SETS][WORDS]; };

static long select_scan(void *what)
{
	static const u32 events[SETS] = { POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI };
	struct select *select = what;
	long ready = 0;
	for (int i = 0; i < select->count * SETS; i++) {
		int set = i % SETS, descriptor = i / SETS;
		u64 bit = 1UL << descriptor % 64;
		if (!(select->wanted[set][descriptor / 64] & bit))
			continue;
		u32 holds = events_of(file_get(descriptor));
		if (holds & POLLNVAL)
			return -EBADF;
		if (holds & events[set]) {
			select->found[set][descriptor / 64] |= bit;
			ready++;
		}
	}
	return ready;
}

static long select_user(int count, u64 *const user[SETS], const struct limits *limits)
{
	struct select select = { .count = MIN(count, FILES_MAX) };
	size_t bytes = ALIGN_UP(select.count, 64) / 8;
	if (count < 0)
		return -EINVAL;
	for (int set = 0; set < SETS; set++)
		if (user[set] && copy_from_user(select.wanted[set], user[set], bytes))
			return -EFAULT;
	long ready = wait_ready(select_scan, &select, limits);
	for (int set = 0; ready >= 0 && set < SETS; set++)
		if (user[set] && copy_to_user(user[set], select.found[set], bytes))
			return -EFAULT;
	return ready;
}

long sys_select(int count, u64 *read, u64 *write, u64 *except, const struct timeval *timeout)
{
	struct limits limits;
	TRY(limits_from_user(&limits, timeout, 1000, NULL));
	return select_user(count, (u64 *[]){ read, write, except }, &limits);
}

/* The sixth argument points to a pointer to the mask, and its size. */
long sys_pselect6(int count, u64 *read, u64 *write, u64 *except, const struct timespec *timeout, u64 **masking)
{
	struct limits limits;
	u64 *mask = NULL;
	if (masking && copy_from_user(&mask, masking, sizeof(mask)))
		return -EFAULT;
	TRY(limits_from_user(&limits, timeout, 1, mask));
	return select_user(count, (u64 *[]){ read, write, except }, &limits);
}
