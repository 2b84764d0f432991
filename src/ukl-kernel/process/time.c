/* Clocks, sleeping, the interval timer. Timeouts are noticed at the timer tick: up to 10 ms late, never early. */
#include "process.h"

enum { SECONDS_MAX = 0x7fffffff };	/* of a timeout: 68 years */

long timespec_read(const struct timespec *user, u64 *ns)
{
	struct timespec time;
	if (copy_from_user(&time, user, sizeof time))
		return -EFAULT;
	if (time.seconds < 0 || (u64)time.nanoseconds >= NS_PER_SECOND)
		return -EINVAL;
	*ns = MIN(time.seconds, (s64)SECONDS_MAX) * NS_PER_SECOND + time.nanoseconds;
	return 0;
}

/* time_now() at the time `ns` of a clock, or in `ns` from now. */
u64 deadline_of(u64 ns, bool absolute, bool realtime)
{
	s64 origin = !absolute ? time_now() : realtime ? time_now() - time_of_day() : 0;
	return MAX((s64)ns + origin, 1L);
}

static struct timespec timespec_of(u64 ns) { return (struct timespec){ ns / NS_PER_SECOND, ns % NS_PER_SECOND }; }
static struct timeval timeval_of(u64 ns)
{
	return (struct timeval){ ns / NS_PER_SECOND, ns % NS_PER_SECOND / 1000 };
}

static bool is_realtime(int clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }
/* Processor time is not counted: the clocks 2 and 3 are not there. */
static bool is_clock(int clock) { return clock >= 0 && clock <= CLOCK_BOOTTIME && clock != 2 && clock != 3; }

long sys_clock_gettime(int clock, struct timespec *to)
{
	if (!is_clock(clock))
		return -EINVAL;
	struct timespec time = timespec_of(is_realtime(clock) ? time_of_day() : time_now());
	return copy_to_user(to, &time, sizeof time);
}

long sys_gettimeofday(struct timeval *to)
{
	struct timeval time = timeval_of(time_of_day());
	return to ? copy_to_user(to, &time, sizeof time) : 0;
}

long sys_time(s64 *to)
{
	s64 now = time_of_day() / NS_PER_SECOND;
	return to && copy_to_user(to, &now, sizeof now) ? -EFAULT : now;
}

long sys_clock_nanosleep(int clock, int flags, const struct timespec *duration, struct timespec *remaining)
{
	bool absolute = flags & TIMER_ABSTIME;
	u64 ns;
	long error = is_clock(clock) ? timespec_read(duration, &ns) : -EINVAL;
	if (error)
		return error;
	u64 deadline = deadline_of(ns, absolute, is_realtime(clock));
	if (wait_event_until(NULL, false, deadline) == -ETIMEDOUT)
		return 0;
	struct timespec left = timespec_of(deadline - MIN(deadline, time_now()));
	if (remaining && !absolute && copy_to_user(remaining, &left, sizeof left))
		return -EFAULT;
	return -ERESTARTNOHAND;
}

long sys_nanosleep(const struct timespec *duration, struct timespec *remaining)
{
	return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, duration, remaining);
}

/* Sets ITIMER_REAL; ns, 0: off. The result is what was left of it. */
static u64 alarm_set(u64 first, u64 interval)
{
	struct process *process = current_process();
	u64 now = time_now(), before = process->alarm_deadline;
	process->alarm_interval = interval;
	process->alarm_deadline = first == 0 ? 0 : now + first;
	return before == 0 ? 0 : MAX(before, now + 1000) - now;
}

static bool timeval_valid(const struct timeval *time)
{
	return (u64)time->seconds <= SECONDS_MAX && (u64)time->microseconds < 1000000;
}
static u64 timeval_ns(const struct timeval *time) { return time->seconds * NS_PER_SECOND + time->microseconds * 1000; }

/* Only ITIMER_REAL: the others would count processor time. */
long sys_setitimer(int which, const struct itimerval *from, struct itimerval *old)
{
	struct itimerval before = { .interval = timeval_of(current_process()->alarm_interval) }, new;
	if (copy_from_user(&new, from, sizeof new))
		return -EFAULT;
	if (which != 0 || !timeval_valid(&new.value) || !timeval_valid(&new.interval))
		return -EINVAL;
	before.value = timeval_of(alarm_set(timeval_ns(&new.value), timeval_ns(&new.interval)));
	return old ? copy_to_user(old, &before, sizeof before) : 0;
}

/* Seconds that were left of the alarm before, rounded up. */
long sys_alarm(u32 seconds) { return (alarm_set(seconds * NS_PER_SECOND, 0) + NS_PER_SECOND - 1) / NS_PER_SECOND; }
