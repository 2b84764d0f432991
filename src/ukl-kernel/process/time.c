/* Clocks, sleeping, the interval timer. Timeouts are noticed at the timer tick: up to 10 ms late, never early. */
#include "process.h"

enum { CLOCK_TICKS = 100 };	/* per second: times() and AT_CLKTCK */

u64 timespec_ns(const struct timespec *time)
{
	return (u64)time->seconds > ~0UL / NS_PER_SECOND / 2 ? ~0UL / 2
							     : time->seconds * NS_PER_SECOND + time->nanoseconds;
}

static struct timespec timespec_of(u64 ns) { return (struct timespec){ ns / NS_PER_SECOND, ns % NS_PER_SECOND }; }
static struct timeval timeval_of(u64 ns)
{
	return (struct timeval){ ns / NS_PER_SECOND, ns % NS_PER_SECOND / 1000 };
}
static bool timespec_valid(const struct timespec *time)
{
	return time->seconds >= 0 && time->nanoseconds >= 0 && (u64)time->nanoseconds < NS_PER_SECOND;
}

u64 deadline_of_realtime(u64 ns)
{
	u64 now = time_of_day();

	return time_now() + (ns > now ? ns - now : 0);
}

static long clock_read(int clock, u64 *ns)
{
	struct thread *thread = current_thread();

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		*ns = time_of_day();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*ns = time_now();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		*ns = thread->process->run_time + time_now() - thread->run_started;
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = thread->run_time + time_now() - thread->run_started;
		return 0;
	default:
		return -EINVAL;
	}
}

long sys_clock_gettime(int clock, struct timespec *to)
{
	struct timespec time;
	u64 ns;
	long result = clock_read(clock, &ns);

	if (result != 0)
		return result;
	time = timespec_of(ns);
	return copy_to_user(to, &time, sizeof time);
}

long sys_clock_getres(int clock, struct timespec *to)
{
	bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
	struct timespec time = { 0, coarse ? NS_PER_SECOND / CLOCK_TICKS : 1 };
	u64 ns;
	long result = clock_read(clock, &ns);

	return result != 0 || !to ? result : copy_to_user(to, &time, sizeof time);
}

long sys_gettimeofday(struct timeval *to, int *zone)
{
	struct timeval time = timeval_of(time_of_day());
	int none[2] = {};

	if (to && copy_to_user(to, &time, sizeof time))
		return -EFAULT;
	return zone ? copy_to_user(zone, none, sizeof none) : 0;
}

long sys_time(s64 *to)
{
	s64 now = time_of_day() / NS_PER_SECOND;

	return to && copy_to_user(to, &now, sizeof now) ? -EFAULT : now;
}

long sys_times(s64 *to)
{
	struct process *process = current_process();
	u64 own = process->run_time + time_now() - current_thread()->run_started;
	s64 ticks[4] = {	/* user, system, children's user, children's system */
		own / (NS_PER_SECOND / CLOCK_TICKS), 0, process->children_run_time / (NS_PER_SECOND / CLOCK_TICKS), 0,
	};

	if (to && copy_to_user(to, ticks, sizeof ticks))
		return -EFAULT;
	return time_now() / (NS_PER_SECOND / CLOCK_TICKS);
}

/* -EINTR after a handler. A stop and SIGCONT begin a relative sleep anew: it may be longer, never shorter. */
static long sleep_until(u64 deadline, struct timespec *remaining)
{
	u64 now;
	struct timespec left;

	if (wait_event_until(NULL, false, deadline) == -ETIMEDOUT)
		return 0;
	now = time_now();
	left = timespec_of(deadline > now ? deadline - now : 0);
	if (remaining && copy_to_user(remaining, &left, sizeof left))
		return -EFAULT;
	return -ERESTARTNOHAND;
}

long sys_clock_nanosleep(int clock, int flags, const struct timespec *duration, struct timespec *remaining)
{
	struct timespec time;
	u64 ns, now;
	long result = clock_read(clock, &now);

	if (result != 0 || clock == CLOCK_THREAD_CPUTIME_ID)
		return -EINVAL;
	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return -EOPNOTSUPP;
	if (copy_from_user(&time, duration, sizeof time))
		return -EFAULT;
	if (!timespec_valid(&time))
		return -EINVAL;
	ns = timespec_ns(&time);
	if (!(flags & TIMER_ABSTIME))
		return sleep_until(MAX(time_now() + ns, 1UL), remaining);
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		ns = deadline_of_realtime(ns);
	return sleep_until(MAX(ns, 1UL), NULL);
}

long sys_nanosleep(const struct timespec *duration, struct timespec *remaining)
{
	return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, duration, remaining);
}

static struct itimerval timer_value(const struct process *process)
{
	u64 now = time_now();
	u64 left = process->alarm_deadline == 0 ? 0 : process->alarm_deadline > now ? process->alarm_deadline - now : 1000;

	return (struct itimerval){ timeval_of(process->alarm_interval), timeval_of(left) };
}

/* Only ITIMER_REAL: the others would count time by privilege level, which a ring-0 application has none of. */
long sys_getitimer(int which, struct itimerval *to)
{
	struct itimerval value;

	if (which != 0)
		return -EINVAL;
	value = timer_value(current_process());
	return copy_to_user(to, &value, sizeof value);
}

long sys_setitimer(int which, const struct itimerval *from, struct itimerval *old)
{
	struct process *process = current_process();
	struct itimerval before, value = {};
	u64 first;

	if (which != 0)
		return -EINVAL;
	if (from && copy_from_user(&value, from, sizeof value))
		return -EFAULT;
	if (value.value.seconds < 0 || (u64)value.value.microseconds > 999999 || value.interval.seconds < 0 ||
	    (u64)value.interval.microseconds > 999999)
		return -EINVAL;
	before = timer_value(process);
	first = value.value.seconds * NS_PER_SECOND + value.value.microseconds * 1000;
	process->alarm_interval = value.interval.seconds * NS_PER_SECOND + value.interval.microseconds * 1000;
	process->alarm_deadline = first == 0 ? 0 : time_now() + first;
	return old ? copy_to_user(old, &before, sizeof before) : 0;
}

/* Seconds that were left of the alarm before, rounded up as Linux does; at least 1 if there was one. */
long sys_alarm(u32 seconds)
{
	struct process *process = current_process();
	struct timeval left = timer_value(process).value;
	bool round_up = left.microseconds >= 500000 || (left.seconds == 0 && left.microseconds > 0);

	process->alarm_interval = 0;
	process->alarm_deadline = seconds == 0 ? 0 : time_now() + seconds * NS_PER_SECOND;
	return left.seconds + round_up;
}
