/* What this kernel offers an application beside Linux's calls. */
#ifndef UKL_H
#define UKL_H

#define SYS_empty 511

/* A system call that does nothing and returns 0. */
long empty_call(void);

#endif
