/* For programs that print each call with its result, which must be the same on this kernel as on Linux. */
#ifndef CHECK_CALLS_H
#define CHECK_CALLS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int check_failures;

/* Prints the call and its result, with the error if it is -1; a wrong result counts. */
static inline void check(const char *call, long value, long expected, int error)
{
	int ok = value == expected;
	printf("%s%s: %ld", ok ? "" : "WRONG ", call, value);
	if (!ok)
		printf(" (expected %ld)", expected);
	if (value == -1)
		printf(" %s", strerror(error));
	printf("\n");
	check_failures += !ok;
}

#define IS(call, expected) do { errno = 0; long value_ = (long)(call); check(#call, value_, (long)(expected), errno); } while (0)
/* A call that fails with this error number. */
#define FAILS(call, number)                                                                           \
	do {                                                                                          \
		errno = 0;                                                                            \
		long value_ = (long)(call);                                                           \
		int error_ = errno;                                                                   \
		check(#call, value_, -1, error_);                                                     \
		if (error_ != (number)) {                                                             \
			printf("WRONG error, expected %s\n", strerror(number));                       \
			check_failures++;                                                             \
		}                                                                                     \
	} while (0)

/* A new directory under /tmp as the current one. */
static inline void check_directory(void)
{
	static char name[] = "/tmp/ukl-XXXXXX";
	if (!mkdtemp(name) || chdir(name)) {
		perror(name);
		exit(2);
	}
}

static inline int check_end(void)
{
	if (check_failures)
		printf("%d checks failed\n", check_failures);
	else
		printf("all checks passed\n");
	return check_failures != 0;
}

#endif
