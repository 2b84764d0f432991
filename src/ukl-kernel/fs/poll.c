/* poll and select: waiting for any of several files, for a time, for a signal. */
#include "internal.h"

struct wait_queue poll_waiters = WAIT_QUEUE_INIT(poll_waiters);

static long poll_scan(struct pollfd *polls, u32 count)
{
	long ready = 0;
	for (u32 i = 0; i < count; i++) {
		struct file *file = file_get(polls[i].descriptor);
		u32 holds = !file ? POLLNVAL : file->operations->poll ? file->operations->poll(file) :
			    POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
		if (polls[i].descriptor < 0)
			holds = 0;
		polls[i].found = holds & (polls[i].events | POLLERR | POLLHUP | POLLNVAL);
		ready += polls[i].found != 0;
	}
	return ready;
}

/* How a call waits: until when, and with which signals blocked. */
struct limits { u64 deadline, mask; bool masked; };

/* `time`: a timespec, or with unit 1000 a timeval; NULL: no end. A deadline of 0 is none. */
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
	limits->deadline = time_now() + MIN((u64)copy.seconds, 1UL << 32) * NS_PER_SECOND + copy.nanoseconds * unit;
	return 0;
}

/* The core of all four calls: the number of ready files, or an error. */
static long poll_wait(struct pollfd *polls, u32 count, const struct limits *limits)
{
	struct thread *thread = current_thread();
	long ready;

	if (limits->masked) {
		thread->saved_mask = thread->signal_mask;
		thread->signal_mask = limits->mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	}
	long error = wait_event_until(&poll_waiters, (ready = poll_scan(polls, count)) != 0, limits->deadline);
	/* If a signal ended the wait, its handler runs before the old mask comes back. */
	if (limits->masked && error == -EINTR)
		thread->restore_mask = true;
	else if (limits->masked)
		thread->signal_mask = thread->saved_mask;
	return error == -EINTR ? -ERESTARTNOHAND : error == -ETIMEDOUT ? 0 : error ?: ready;
}

static long poll_user(struct pollfd *user, u32 count, const struct limits *limits)
{
	struct pollfd polls[FILES_MAX];
	if (count > FILES_MAX)
		return -EINVAL;
	if (copy_from_user(polls, user, count * sizeof(*polls)))
		return -EFAULT;
	long ready = poll_wait(polls, count, limits);
	return ready >= 0 && copy_to_user(user, polls, count * sizeof(*polls)) ? -EFAULT : ready;
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

typedef u64 descriptor_set[FILES_MAX / 64];

/* As poll, over the descriptors that are in one of the sets (read, write, except); absent sets are NULL. */
static long select_user(int count, u64 *const user[3], const struct limits *limits)
{
	static const u16 wanted[3] = { POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI };
	descriptor_set sets[3] = {}, found[3] = {};
	struct pollfd polls[FILES_MAX];
	u32 polled = 0;
	long ready = 0;

	if (count < 0)
		return -EINVAL;
	count = MIN(count, FILES_MAX);
	size_t bytes = ALIGN_UP(count, 64) / 8;
	for (int s = 0; s < 3; s++)
		if (user[s] && copy_from_user(sets[s], user[s], bytes))
			return -EFAULT;
	for (int i = 0; i < count; i++) {
		polls[polled] = (struct pollfd){ .descriptor = i };
		for (int s = 0; s < 3; s++)
			polls[polled].events |= sets[s][i / 64] >> i % 64 & 1 ? wanted[s] : 0;
		if (polls[polled].events && !file_get(i))
			return -EBADF;
		polled += polls[polled].events != 0;
	}
	long result = poll_wait(polls, polled, limits);
	if (result < 0)
		return result;
	for (u32 p = 0; p < polled; p++) {
		u32 word = polls[p].descriptor / 64;
		u64 bit = 1UL << polls[p].descriptor % 64;
		for (int s = 0; s < 3; s++) {
			if (sets[s][word] & bit && polls[p].found & wanted[s]) {
				found[s][word] |= bit;
				ready++;
			}
		}
	}
	for (int s = 0; s < 3; s++)
		if (user[s] && copy_to_user(user[s], found[s], bytes))
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
long sys_pselect6(int count, u64 *read, u64 *write, u64 *except, const struct timespec *timeout, u64 **mask_and_size)
{
	struct limits limits;
	u64 *mask = NULL;
	if (mask_and_size && copy_from_user(&mask, mask_and_size, sizeof(mask)))
		return -EFAULT;
	TRY(limits_from_user(&limits, timeout, 1, mask));
	return select_user(count, (u64 *[]){ read, write, except }, &limits);
}
