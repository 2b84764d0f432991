/* For programs that check themselves and print the same lines on every Linux-like kernel. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failures;

/* One line for each claim: so that the output of two kernels can be compared. */
#define CHECK(claim, condition)                                                              \
	do {                                                                                 \
		int holds_ = !!(condition);                                                  \
		check_failures += !holds_;                                                   \
		printf("%s: %s", holds_ ? "ok" : "FAILED", claim);                           \
		if (!holds_)                                                                 \
			printf(" (line %d, errno %d)", __LINE__, errno);                     \
		printf("\n");                                                                \
		fflush(stdout);                                                              \
	} while (0)

#define CHECK_END() return check_failures != 0

#endif
