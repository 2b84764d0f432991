/*
 * Linux's binary interface for processes on x86-64: signals, times, clone flags (arch/x86/include/uapi,
 * include/uapi/linux). What concerns files is in abi-files.h.
 */
#ifndef ABI_H
#define ABI_H

#include "errno.h"
#include "types.h"

enum {
	SIGHUP = 1, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2,
	SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG,
	SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS,
};
#define SIG_DFL 0UL
#define SIG_IGN 1UL
#define SIGNAL_BIT(signal) (1UL << ((signal)-1))

struct kernel_sigaction { u64 handler, flags, restorer, mask; };
struct sigaltstack { u64 sp; u32 flags, pad; u64 size; };
struct timespec { s64 seconds, nanoseconds; };
struct timeval { s64 seconds, microseconds; };

#endif
