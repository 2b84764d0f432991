/*
 * Shortcuts: the application's getppid() is a call of the kernel's own function, and so on. No entry code, no
 * table, no number: what is left of a system call when application and kernel trust each other. Linked before
 * libc.a, so that the application gets these instead of the C library's.
 *
 * Weak, so that a shortcut of the user's own (ukl-emu build --shortcut) comes before these.
 *
 * Results are as in the C library: -1 and errno for errors. Nothing here is a cancellation point.
 */
#include "file.h"
#include "process.h"
#include "syscall.h"

#define SHORTCUT __attribute__((weak))

/* musl's, in the application's part of the image. */
int *__errno_location(void);

static long result_of(long result)
{
	if (result >= 0)
		return result;
	*__errno_location() = (int)-result;
	return -1;
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
	struct file *file = file_get(descriptor);

	return result_of(file == NULL ? -EBADF : file_read(file, buffer, size));
}

SHORTCUT ssize_t write(int descriptor, const void *buffer, size_t size)
{
	struct file *file = file_get(descriptor);

	return result_of(file == NULL ? -EBADF : file_write(file, buffer, size));
}

SHORTCUT ssize_t send(int descriptor, const void *buffer, size_t size, int flags)
{
	struct file *file = file_get(descriptor);

	return result_of(file == NULL ? -EBADF : socket_send(file, buffer, size, (u32)flags));
}

SHORTCUT ssize_t recv(int descriptor, void *buffer, size_t size, int flags)
{
	struct file *file = file_get(descriptor);

	return result_of(file == NULL ? -EBADF : socket_receive(file, buffer, size, (u32)flags));
}
