/*
 * The few pieces of the Linux x86-64 system interface the runner uses, declared here because it is linked
 * without a C library. Names without the kernel's prefixes; values and layouts from the kernel's UAPI headers
 * (asm/unistd_64.h, asm/sigcontext.h, asm/ucontext.h, asm-generic/siginfo.h).
 */
#ifndef SYSTEM_H
#define SYSTEM_H

#include "runner.h"

enum {
  SYS_read = 0,
  SYS_write = 1,
  SYS_close = 3,
  SYS_mmap = 9,
  SYS_rt_sigaction = 13,
  SYS_setitimer = 38,
  SYS_ftruncate = 77,
  SYS_sigaltstack = 131,
  SYS_mlock = 149,
  SYS_modify_ldt = 154,
  SYS_sched_setaffinity = 203,
  SYS_exit_group = 231,
  SYS_memfd_create = 319
};
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum { MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20, MAP_POPULATE = 0x8000, MAP_FIXED_NOREPLACE = 0x100000 };
enum { EINTR = 4 };
enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGPROF = 27 };
enum { ITIMER_PROF = 2 };
enum { TRAP_TRACE = 2 };
enum { VECTOR_DB = 1, VECTOR_BP = 3, VECTOR_PF = 14 };
enum { RFLAGS_NT = 1 << 14, RFLAGS_ID = 1 << 21 };

#define SA_SIGINFO 4ul
#define SA_RESTORER 0x04000000ul
#define SA_ONSTACK 0x08000000ul

/* Restore SS exactly as the frame says, even where Linux would otherwise mend it. */
enum { UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4 };

struct action {
  u64 handler, flags, restorer, mask;
};

struct stack {
  void *base;
  i32 flags;
  u64 size;
};

struct timer {
  u64 interval_seconds, interval_microseconds, seconds, microseconds;
};

struct siginfo {
  i32 signal, error, code, reserved;
  u64 address;
};

struct sigcontext {
  u64 r8_15[8];
  u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
  u16 cs, gs, fs, ss;
  u64 err, trapno, oldmask, cr2;
  void *fpstate;
  u64 reserved[8];
};

struct ucontext {
  u64 flags;
  struct ucontext *link;
  struct stack stack;
  struct sigcontext mcontext;
};

static inline i64 system6(u64 number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  i64 result;
  register u64 r10 __asm__("r10") = d;
  register u64 r8 __asm__("r8") = e;
  register u64 r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#define system4(n, a, b, c, d) system6(n, a, b, c, d, 0, 0)
#define system3(n, a, b, c) system6(n, a, b, c, 0, 0, 0)
#define system2(n, a, b) system6(n, a, b, 0, 0, 0, 0)
#define system1(n, a) system6(n, a, 0, 0, 0, 0, 0)

#endif
