/*
 * Shortcuts: the application's getppid() is a call of the kernel's own function, and so on. No entry code, no
 * table, no number: what is left of a system call when application and kernel trust each other. Linked before
 * libc.a, so that the application gets these instead of the C library's.
 *
 * Weak, so that a shortcut of the user's own (ukl-emu build --shortcut) comes before these.
 *
 * Results are as in the C library: -1 and errno for errors. Nothing here is a cancellation point.
 *
 * With several processors the kernel's own functions are called between kernel_enter() and kernel_leave(), and so must
 * those of a shortcut of the user's own.
 */
#include "file.h"
#include "process.h"
#include "syscall.h"

#define SHORTCUT __attribute__((weak))

enum { SYS_READ = 0, SYS_WRITE = 1, SYS_SENDTO = 44, SYS_RECVFROM = 45 };

/* musl's, in the application's part of the image. */
int *__errno_location(void);

static long result_of(long result)
{
	if (result >= 0)
		return result;
	*__errno_location() = (int)-result;
	return -1;
}

/*
 * A call that a signal ended goes the long way, once more: only entry and exit work can run the handler, and it
 * knows whether to restart the call or to give EINTR.
 */
static long finish(long result, u64 number, u64 descriptor, const void *buffer, size_t size, u64 flags)
{
	kernel_leave();

	register u64 fourth __asm__("r10") = flags;
	register u64 fifth __asm__("r8") = 0;		/* send and recv are sendto and recvfrom without a name */
	register u64 sixth __asm__("r9") = 0;

	if (result == -ERESTARTSYS)
		__asm__ volatile("call entry_ukl"
				 : "=a"(result)
				 : "a"(number), "D"(descriptor), "S"(buffer), "d"(size), "r"(fourth), "r"(fifth), "r"(sixth)
				 : "rcx", "r11", "memory", "cc");
	return result_of(result);
}

/* NULL, and errno, for a descriptor that is not open. Else in the kernel, up to finish(). */
static inline struct file *begin(int descriptor)
{
	stack_probe();
	kernel_enter();
	struct file *file = file_get(descriptor);
	if (file == NULL) {
		kernel_leave();
		result_of(-EBADF);
	}
	return file;
}

SHORTCUT long empty_call(void)
{
	return sys_empty();
}

SHORTCUT int getppid(void)
{
	return (int)sys_getppid();
}

SHORTCUT ssize_t read(int descriptor, void *buffer, size_t size)
{
	struct file *file = begin(descriptor);
	return file ? finish(file_read(file, buffer, size), SYS_READ, descriptor, buffer, size, 0) : -1;
}

SHORTCUT ssize_t write(int descriptor, const void *buffer, size_t size)
{
	struct file *file = begin(descriptor);
	return file ? finish(file_write(file, buffer, size), SYS_WRITE, descriptor, buffer, size, 0) : -1;
}

SHORTCUT ssize_t send(int descriptor, const void *buffer, size_t size, int flags)
{
	struct file *file = begin(descriptor);
	return file ? finish(socket_send(file, buffer, size, (u32)flags), SYS_SENDTO, descriptor, buffer, size,
			     (u32)flags)
		    : -1;
}

SHORTCUT ssize_t recv(int descriptor, void *buffer, size_t size, int flags)
{
	struct file *file = begin(descriptor);
	return file ? finish(socket_receive(file, buffer, size, (u32)flags), SYS_RECVFROM, descriptor, buffer, size,
			     (u32)flags)
		    : -1;
}
