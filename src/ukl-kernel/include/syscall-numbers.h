/* Limits of system-call numbers and results, for C and assembly. */
#ifndef SYSCALL_NUMBERS_H
#define SYSCALL_NUMBERS_H

#define SYSTEM_CALLS_MAX 512
/* Number of the empty call, which Linux does not have: the last of the table. */
#define SYS_EMPTY 511
#ifdef __ASSEMBLER__
#define ERESTARTSYS 512		/* errno.h */
#define ERESTARTNOHAND 514
#endif

#endif
