/*
 * Every system call of this kernel, by Linux's number for x86-64: the one list that the dispatch table is made
 * of (syscall/table.c). Each is `long sys_NAME(...)` with at most six register-sized arguments; results are a
 * value or a negative errno. An unknown number is reported once and gives ENOSYS.
 */
#ifndef SYSCALL_H
#define SYSCALL_H

#include "config.h"
#include "registers.h"
#include "types.h"

typedef long (*system_call_t)(u64, u64, u64, u64, u64, u64);

/* fs/mount.c: calls that only disks need */
#if CONFIG_DISK
#define DISK_SYSTEM_CALLS(_) \
	_(74, fsync) _(75, fdatasync) _(76, truncate) _(86, link) _(137, statfs) _(138, fstatfs) _(162, sync) \
	_(165, mount) _(166, umount2) _(265, linkat) _(306, syncfs)
#else
#define DISK_SYSTEM_CALLS(_)
#endif
/* Calls about names and inodes: with disks, one thread at a time (fs/mount.c). */
#define TREE_SYSTEM_CALLS(_) \
	_(2, open) _(4, stat) _(5, fstat) _(6, lstat) _(21, access) _(77, ftruncate) _(79, getcwd) _(80, chdir) \
	_(81, fchdir) _(82, rename) _(83, mkdir) _(84, rmdir) _(85, creat) _(87, unlink) _(88, symlink) \
	_(89, readlink) _(90, chmod) _(91, fchmod) _(217, getdents64) _(257, openat) _(258, mkdirat) \
	_(262, newfstatat) _(263, unlinkat) _(264, renameat) _(266, symlinkat) _(267, readlinkat) _(268, fchmodat) \
	_(269, faccessat) _(280, utimensat) _(439, faccessat2) DISK_SYSTEM_CALLS(_)

/* fs/ */
#define FILE_SYSTEM_CALLS(_) \
	_(0, read) _(1, write) _(2, open) _(3, close) _(4, stat) _(5, fstat) _(6, lstat) _(7, poll) _(8, lseek) \
	_(16, ioctl) _(17, pread64) _(18, pwrite64) _(19, readv) _(20, writev) _(21, access) _(22, pipe) \
	_(23, select) _(32, dup) _(33, dup2) _(44, sendto) _(45, recvfrom) _(53, socketpair) _(72, fcntl) \
	_(77, ftruncate) _(79, getcwd) _(80, chdir) _(81, fchdir) _(82, rename) _(83, mkdir) _(84, rmdir) \
	_(85, creat) _(87, unlink) _(88, symlink) _(89, readlink) _(90, chmod) _(91, fchmod) _(95, umask) \
	_(217, getdents64) _(257, openat) _(258, mkdirat) _(262, newfstatat) _(263, unlinkat) _(264, renameat) \
	_(266, symlinkat) _(267, readlinkat) _(268, fchmodat) _(269, faccessat) _(270, pselect6) _(271, ppoll) \
	_(280, utimensat) _(292, dup3) _(293, pipe2) _(439, faccessat2) _(74, accepted) _(75, accepted) \
	_(92, accepted) _(93, accepted) _(94, accepted) _(162, accepted) _(260, accepted) _(40, unsupported) \
	_(41, unsupported) _(86, unsupported) _(137, unsupported) _(138, unsupported) _(261, unsupported) \
	_(265, unsupported) _(316, unsupported) _(332, unsupported) DISK_SYSTEM_CALLS(_)

/* net/ and fs/socket.c, with CONFIG_NET; some replace an `unsupported` above. */
#if CONFIG_NET
#define NETWORK_SYSTEM_CALLS(_) \
	_(41, socket) _(42, connect) _(43, accept) _(46, sendmsg) _(47, recvmsg) _(48, shutdown) _(49, bind) \
	_(50, listen) _(51, getsockname) _(52, getpeername) _(54, setsockopt) _(55, getsockopt) \
	_(213, epoll_create) _(232, epoll_wait) _(233, epoll_ctl) _(281, epoll_pwait) _(284, eventfd) \
	_(288, accept4) _(290, eventfd2) _(291, epoll_create1)
#else
#define NETWORK_SYSTEM_CALLS(_)
#endif

/* process/ and mm/ */
#define PROCESS_SYSTEM_CALLS(_) \
	_(9, mmap) _(10, mprotect) _(11, munmap) _(12, brk) _(25, unsupported) _(28, unsupported) \
	_(13, rt_sigaction) _(14, rt_sigprocmask) _(15, rt_sigreturn) _(24, sched_yield) _(34, pause) \
	_(35, nanosleep) _(37, alarm) _(38, setitimer) _(39, getpid) _(56, clone) _(57, fork) _(58, vfork) \
	_(59, execve) _(60, exit) _(61, wait4) _(62, kill) _(63, uname) _(96, gettimeofday) _(99, sysinfo) \
	_(102, accepted) _(104, accepted) _(105, accepted) _(106, accepted) _(107, accepted) \
	_(108, accepted) _(109, setpgid) _(110, getppid) _(111, getpgrp) _(112, setsid) _(113, accepted) \
	_(114, accepted) _(115, accepted) _(116, accepted) _(117, accepted) _(119, accepted) _(121, getpgid) \
	_(130, rt_sigsuspend) _(131, sigaltstack) _(158, arch_prctl) _(169, reboot) \
	_(186, gettid) _(200, tkill) _(201, time) _(202, futex) _(218, set_tid_address) \
	_(228, clock_gettime) _(230, clock_nanosleep) _(231, exit_group) _(234, tgkill) _(302, prlimit64) \
	_(318, getrandom) _(SYS_EMPTY, empty) \
	_(97, unsupported) _(98, unsupported) _(160, unsupported) PROCESSOR_SYSTEM_CALLS(_) \
	_(273, unsupported) _(144, unsupported) _(334, unsupported) _(157, unsupported) _(435, unsupported)

/* smp/affinity.c; where there is one processor, programs do without. */
#if CONFIG_SMP
#define PROCESSOR_SYSTEM_CALLS(_) _(203, sched_setaffinity) _(204, sched_getaffinity) _(309, getcpu)
#else
#define PROCESSOR_SYSTEM_CALLS(_) _(203, unsupported) _(204, unsupported) _(309, unsupported)
#endif

/*
 * Calls that common programs try and do without: `_(number, unsupported)` in either list gives ENOSYS without the
 * report, and `_(number, accepted)` 0: nothing to sync, no owner but root.
 */
#define DECLARE_SYSTEM_CALL(number, name) long sys_##name();
/* Definitions have their true parameters; C's old-style declarations allow it for register-sized ones. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
FILE_SYSTEM_CALLS(DECLARE_SYSTEM_CALL)
NETWORK_SYSTEM_CALLS(DECLARE_SYSTEM_CALL)
PROCESS_SYSTEM_CALLS(DECLARE_SYSTEM_CALL)
#pragma GCC diagnostic pop

/* Entry code indexes it by the call's number. */
extern const system_call_t system_call_table[SYSTEM_CALLS_MAX];

#endif
