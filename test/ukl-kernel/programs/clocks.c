/* Clocks, sleeps, and the small calls about time and identity whose results do not depend on the machine. */
#define _GNU_SOURCE
#include "check.h"
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static long long now(clockid_t clock)
{
	struct timespec time;

	return clock_gettime(clock, &time) ? -1 : time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(void)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
		CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME };
	struct timespec time = { 0, 25000000 }, bad = { 0, 1000000000 };
	struct timeval day;
	struct utsname name;
	struct sysinfo memory;
	long long before, after;
	int good = 0;

	for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++)
		good += now(clocks[i]) >= 0;
	CHECK("six clocks", good == 6);
	errno = 0;
	CHECK("no ninety-ninth", now(99) == -1 && errno == EINVAL);
	before = now(CLOCK_MONOTONIC);
	good = 1;
	for (int i = 0; i < 1000; i++) {
		after = now(CLOCK_MONOTONIC);
		good = good && after >= before;
		before = after;
	}
	CHECK("CLOCK_MONOTONIC never goes back", good);

	before = now(CLOCK_MONOTONIC);
	CHECK("nanosleep", nanosleep(&time, NULL) == 0);
	after = now(CLOCK_MONOTONIC);
	CHECK("sleeps at least as long, and not a second", after - before >= 25000000 && after - before < 1000000000);
	CHECK("nanosleep: invalid time", nanosleep(&bad, NULL) == -1 && errno == EINVAL);
	before = now(CLOCK_REALTIME) + 30000000;
	time = (struct timespec){ before / 1000000000, before % 1000000000 };
	CHECK("clock_nanosleep until a point in time",
	      clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL) == 0 && now(CLOCK_REALTIME) >= before);
	CHECK("clock_nanosleep: in the past at once", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL) == 0);

	gettimeofday(&day, NULL);
	CHECK("gettimeofday, time and CLOCK_REALTIME agree", llabs(now(CLOCK_REALTIME) / 1000000000 - day.tv_sec) <= 1 &&
		llabs(now(CLOCK_REALTIME) / 1000000000 - (long long)now(CLOCK_REALTIME_COARSE) / 1000000000) <= 1);
	CHECK("after 2020", day.tv_sec > 1577836800);

	CHECK("uname: Linux on x86_64", uname(&name) == 0 && !strcmp(name.sysname, "Linux") && !strcmp(name.machine, "x86_64"));
	CHECK("sysinfo", sysinfo(&memory) == 0 && memory.totalram > memory.freeram);
	CHECK("sysconf", sysconf(_SC_PAGESIZE) == 4096 && sysconf(_SC_CLK_TCK) == 100 && sysconf(_SC_NPROCESSORS_ONLN) >= 1);
	CHECK_END();
}
