/*
 * Access to an application's memory. A ring-3 process may name addresses of the user half only; for a ring-0
 * one every mapped address is its own.
 */
#include "process.h"

/*
 * A page fault in the string instruction that cannot be resolved goes on behind it (.fixups, arch/traps.c), with
 * the number of bytes that are left in RCX: both return that.
 */
#define FIXUP "\n2:\n.pushsection .fixups, \"a\"\n.quad 1b, 2b\n.popsection"
static __attribute__((noinline)) u64 copy_bytes(void *to, const void *from, u64 size)
{
	__asm__ volatile("1: rep movsb" FIXUP : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return size;
}

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
	if (allowed(at, size))
		__asm__ volatile("1: rep stosb" FIXUP : "+D"(at), "+c"(size) : "a"(0) : "memory");
	return size ? -EFAULT : 0;
}

long copy_string_from_user(char *to, const char *from, size_t size)
{
	/* Byte by byte: what follows the string need not be mapped. */
	for (size_t length = 0; length < size; length++) {
		if (copy_from_user(to + length, from + length, 1))
			return -EFAULT;
		if (!to[length])
			return (long)length;
	}
	return -ENAMETOOLONG;
}

long kernel_read(void *to, vaddr_t from, size_t size)
{
	return copy_bytes(to, (const void *)from, size) ? -EFAULT : 0;
}
