/* Linux's error numbers for x86-64 (include/uapi/asm-generic/errno-base.h, errno.h). */
#ifndef ERRNO_H
#define ERRNO_H

enum {
	EPERM = 1, ENOENT, ESRCH, EINTR, EIO, ENXIO, E2BIG, ENOEXEC, EBADF, ECHILD, EAGAIN, ENOMEM, EACCES,
	EFAULT, ENOTBLK, EBUSY, EEXIST, EXDEV, ENODEV, ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ENOTTY, ETXTBSY,
	EFBIG, ENOSPC, ESPIPE, EROFS, EMLINK, EPIPE, EDOM, ERANGE, EDEADLK, ENAMETOOLONG, ENOLCK, ENOSYS,
	ENOTEMPTY, ELOOP,
	ENOTSOCK = 88, ESOCKTNOSUPPORT = 94, EOPNOTSUPP, EAFNOSUPPORT = 97, EISCONN = 106, ETIMEDOUT = 110,
	/* Never seen by an application: restart the call after the signal, or give EINTR. */
	ERESTARTSYS = 512,	/* after a handler: only with SA_RESTART */
	ERESTARTNOHAND = 514,	/* after a handler: never */
};

#endif
