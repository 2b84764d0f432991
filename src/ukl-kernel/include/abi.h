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
#define UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))

#define SA_SIGINFO	4UL
#define SA_RESTORER	0x04000000UL
#define SA_ONSTACK	0x08000000UL
#define SA_RESTART	0x10000000UL
#define SA_NODEFER	0x40000000UL
#define SA_RESETHAND	0x80000000UL
enum { SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK };
enum { SS_ONSTACK = 1, SS_DISABLE = 2, MINSIGSTKSZ = 2048 };
/* si_code: of kill, the kernel, tgkill; then by signal. */
enum { SI_USER = 0, SI_KERNEL = 0x80, SI_TKILL = -6 };
enum { SEGV_MAPERR = 1, SEGV_ACCERR = 2, FPE_INTDIV = 1, ILL_ILLOPN = 2 };
enum { CLD_EXITED = 1, CLD_KILLED };

enum {
	CSIGNAL = 0xff, CLONE_VM = 0x100, CLONE_FS = 0x200, CLONE_FILES = 0x400, CLONE_SIGHAND = 0x800,
	CLONE_VFORK = 0x4000, CLONE_THREAD = 0x10000, CLONE_SYSVSEM = 0x40000, CLONE_SETTLS = 0x80000,
	CLONE_PARENT_SETTID = 0x100000, CLONE_CHILD_CLEARTID = 0x200000, CLONE_DETACHED = 0x400000,
	CLONE_CHILD_SETTID = 0x1000000,
};
enum { WNOHANG = 1 };
enum {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW = 4, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
	CLOCK_BOOTTIME,
};
#define TIMER_ABSTIME 1
/* The auxiliary vector (include/uapi/linux/auxvec.h). */
enum {
	AT_NULL, AT_PHDR = 3, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_ENTRY = 9, AT_UID = 11, AT_EUID, AT_GID, AT_EGID,
	AT_CLKTCK = 17, AT_SECURE = 23, AT_RANDOM = 25, AT_EXECFN = 31,
};

struct kernel_sigaction { u64 handler, flags, restorer, mask; };
struct sigaltstack { u64 sp; u32 flags, pad; u64 size; };
struct timespec { s64 seconds, nanoseconds; };
struct timeval { s64 seconds, microseconds; };
struct itimerval { struct timeval interval, value; };
#define NS_PER_SECOND 1000000000UL

#endif
