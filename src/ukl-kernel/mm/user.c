/*
 * Access to an application's memory. A ring-3 process may name addresses of the user half only; for a ring-0
 * one every mapped address is its own.
 */
#include "process.h"

u64 copy_bytes(void *to, const void *from, size_t size);
u64 clear_bytes(void *at, size_t size);

static bool allowed(const void *at, size_t size)
{
	if (LINK_MODE == LINK_ZPOLINE && (u64)at < PAGE_SIZE)
		return false;	/* the trampoline, which paging cannot keep from being read */
	return (u64)at + size <= USER_TOP && (u64)at + size >= size ? true : current_process()->ring0;
}

long copy_from_user(void *to, const void *from, size_t size)
{
	return allowed(from, size) && !copy_bytes(to, from, size) ? 0 : -EFAULT;
}

long copy_to_user(void *to, const void *from, size_t size)
{
	return allowed(to, size) && !copy_bytes(to, from, size) ? 0 : -EFAULT;
}

long clear_user(void *at, size_t size)
{
	return allowed(at, size) && !clear_bytes(at, size) ? 0 : -EFAULT;
}

long copy_string_from_user(char *to, const char *from, size_t size)
{
	/* By pieces that do not cross a page: what follows the string need not be mapped. */
	for (size_t done = 0; done < size;) {
		size_t piece = MIN(size - done, PAGE_SIZE - (u64)(from + done) % PAGE_SIZE);
		piece = MIN(piece, 64UL);
		if (copy_from_user(to + done, from + done, piece))
			return -EFAULT;
		for (size_t end = done + piece; done < end; done++)
			if (!to[done])
				return (long)done;
	}
	return -ENAMETOOLONG;
}

long kernel_read(void *to, vaddr_t from, size_t size)
{
	return copy_bytes(to, (const void *)from, size) ? -EFAULT : 0;
}
