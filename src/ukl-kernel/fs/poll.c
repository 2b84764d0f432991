/* poll and select: waiting for any of several files, for a time, for a signal. */
#include "internal.h"

struct wait_queue poll_waiters = WAIT_QUEUE_INIT(poll_waiters);

enum {
	SELECT_READ = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR,
	SELECT_WRITE = POLLOUT | POLLWRNORM | POLLERR,
	SELECT_EXCEPT = POLLPRI,
};

static u32 file_ready(struct file *file)
{
	return file->operations->poll ? file->operations->poll(file) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

static long poll_scan(struct pollfd *polls, u32 count)
{
	long ready = 0;
	for (u32 i = 0; i < count; i++) {
		struct file *file = file_get(polls[i].descriptor);
		polls[i].found = 0;
		if (file)
			polls[i].found = file_ready(file) & (polls[i].events | POLLERR | POLLHUP);
		else if (polls[i].descriptor >= 0)
			polls[i].found = POLLNVAL;
		ready += polls[i].found != 0;
	}
	return ready;
}

/* `deadline`: ns of time_now(); 0: none; in the past: look once. The number of ready ones, or an error. */
static long poll_wait(struct pollfd *polls, u32 count, u64 deadline)
{
	long ready = poll_scan(polls, count);
	if (ready || (deadline && deadline <= time_now()))
		return ready;
	long error = wait_event_until(&poll_waiters, (ready = poll_scan(polls, count)) != 0, deadline);
	/* A wait without end begins again if the signal had no handler (SIGSTOP and SIGCONT); no handler: no EINTR. */
	if (error == -EINTR && !deadline)
		return -ERESTARTNOHAND;
	return error == -ETIMEDOUT ? 0 : error ? error : ready;
}

static long poll_user(struct pollfd *user, u32 count, u64 deadline)
{
	struct pollfd polls[FILES_MAX];
	if (count > FILES_MAX)
		return -EINVAL;
	if (copy_from_user(polls, user, count * sizeof(*polls)))
		return -EFAULT;
	long ready = poll_wait(polls, count, deadline);
	for (u32 i = 0; ready >= 0 && i < count; i++)
		if (copy_to_user(&user[i].found, &polls[i].found, sizeof(polls[i].found)))
			return -EFAULT;
	return ready;
}

/* Deadlines are never 0, which means none. */
static u64 deadline_in(u64 nanoseconds) { return MAX(time_now() + nanoseconds, 1UL); }

static long deadline_from_user(const struct timespec *user, u64 *deadline)
{
	struct timespec time;
	*deadline = 0;
	if (!user)
		return 0;
	if (copy_from_user(&time, user, sizeof(time)))
		return -EFAULT;
	if (time.seconds < 0 || (u64)time.nanoseconds >= 1000000000)
		return -EINVAL;
	*deadline = deadline_in(MIN((u64)time.seconds, 1UL << 32) * 1000000000 + time.nanoseconds);
	return 0;
}

/* Linux tells how much of the time was left; `scale`: ns of the second field's unit. */
static long remaining_to_user(void *user, u64 deadline, u64 scale, long result)
{
	u64 now = time_now(), left = deadline > now ? deadline - now : 0;
	struct timespec time = { .seconds = left / 1000000000, .nanoseconds = left % 1000000000 / scale };
	return user && copy_to_user(user, &time, sizeof(time)) ? -EFAULT : result;
}

/* Other blocked signals while waiting; if one ends the wait, its handler runs before the old mask comes back. */
static long mask_begin(const u64 *user, size_t size)
{
	struct thread *thread = current_thread();
	u64 mask;
	if (!user)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(&mask, user, sizeof(mask)))
		return -EFAULT;
	thread->saved_mask = thread->signal_mask;
	thread->signal_mask = mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	return 0;
}

static void mask_end(const u64 *user, long result)
{
	struct thread *thread = current_thread();
	if (user && (result == -EINTR || result == -ERESTARTNOHAND))
		thread->restore_mask = true;
	else if (user)
		thread->signal_mask = thread->saved_mask;
}

long sys_poll(struct pollfd *user, u32 count, int milliseconds)
{
	return poll_user(user, count, milliseconds < 0 ? 0 : deadline_in(milliseconds * 1000000UL));
}

long sys_ppoll(struct pollfd *user, u32 count, struct timespec *timeout, const u64 *mask, size_t mask_size)
{
	u64 deadline;
	long error = deadline_from_user(timeout, &deadline);
	if (!error)
		error = mask_begin(mask, mask_size);
	if (error)
		return error;
	long result = poll_user(user, count, deadline);
	mask_end(mask, result);
	return remaining_to_user(timeout, deadline, 1, result);
}

struct descriptor_set { u64 words[FILES_MAX / 64]; };

static bool in_set(const struct descriptor_set *set, u32 i) { return set->words[i / 64] >> (i % 64) & 1; }

/* As poll, over the descriptors that are in one of the sets (read, write, except); absent sets are NULL. */
static long select_user(u32 count, struct descriptor_set *user[3], u64 deadline)
{
	static const u16 wanted[3] = { SELECT_READ, SELECT_WRITE, SELECT_EXCEPT };
	struct descriptor_set sets[3] = { 0 };
	struct pollfd polls[FILES_MAX];
	u32 polled = 0;
	long ready = 0;

	count = MIN(count, (u32)FILES_MAX);
	size_t bytes = ALIGN_UP(count, 64) / 8;
	for (int s = 0; s < 3; s++)
		if (user[s] && copy_from_user(&sets[s], user[s], bytes))
			return -EFAULT;
	for (u32 i = 0; i < count; i++) {
		u16 events = 0;
		for (int s = 0; s < 3; s++)
			events |= in_set(&sets[s], i) ? wanted[s] : 0;
		if (events && !file_get(i))
			return -EBADF;
		if (events)
			polls[polled++] = (struct pollfd){ .descriptor = i, .events = events };
	}
	long result = poll_wait(polls, polled, deadline);
	if (result < 0)
		return result;
	struct descriptor_set found[3] = { 0 };
	for (u32 p = 0; p < polled; p++) {
		u32 i = polls[p].descriptor;
		for (int s = 0; s < 3; s++) {
			if (in_set(&sets[s], i) && polls[p].found & wanted[s]) {
				found[s].words[i / 64] |= 1UL << (i % 64);
				ready++;
			}
		}
	}
	for (int s = 0; s < 3; s++)
		if (user[s] && copy_to_user(user[s], &found[s], bytes))
			return -EFAULT;
	return ready;
}

long sys_select(int count, struct descriptor_set *read, struct descriptor_set *write, struct descriptor_set *except,
		struct timeval *timeout)
{
	struct timeval time = { 0 };
	if (count < 0)
		return -EINVAL;
	if (timeout && copy_from_user(&time, timeout, sizeof(time)))
		return -EFAULT;
	if (time.seconds < 0 || time.microseconds < 0)
		return -EINVAL;
	u64 left = MIN((u64)time.seconds, 1UL << 32) * 1000000000 + time.microseconds * 1000UL;
	u64 deadline = timeout ? deadline_in(left) : 0;
	long result = select_user(count, (struct descriptor_set *[]){ read, write, except }, deadline);
	return remaining_to_user(timeout, deadline, 1000, result);
}

/* The sixth argument points to the mask and its size. */
long sys_pselect6(int count, struct descriptor_set *read, struct descriptor_set *write, struct descriptor_set *except,
		  struct timespec *timeout, const void *mask_and_size)
{
	struct { const u64 *mask; size_t size; } mask = { 0 };
	u64 deadline;
	if (count < 0)
		return -EINVAL;
	if (mask_and_size && copy_from_user(&mask, mask_and_size, sizeof(mask)))
		return -EFAULT;
	long error = deadline_from_user(timeout, &deadline);
	if (!error)
		error = mask_begin(mask.mask, mask.size);
	if (error)
		return error;
	long result = select_user(count, (struct descriptor_set *[]){ read, write, except }, deadline);
	mask_end(mask.mask, result);
	return remaining_to_user(timeout, deadline, 1, result);
}
