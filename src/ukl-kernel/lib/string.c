/* Memory and string functions. The compiler calls the first four by itself. */
#include "lib.h"

void *memcpy(void *to, const void *from, size_t size)
{
	void *result = to;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return result;
}

void *memmove(void *to, const void *from, size_t size)
{
	if ((u64)to - (u64)from >= size)
		return memcpy(to, from, size);
	while (size--)
		((u8 *)to)[size] = ((const u8 *)from)[size];
	return to;
}

void *memset(void *at, int byte, size_t size)
{
	void *result = at;
	if (((u64)at | size) % 8 == 0) {
		size /= 8;
		__asm__ volatile("rep stosq" : "+D"(at), "+c"(size) : "a"((u8)byte * 0x0101010101010101UL) : "memory");
	} else {
		__asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
	}
	return result;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const u8 *left = a, *right = b;
	for (; size; size--, left++, right++)
		if (*left != *right)
			return *left - *right;
	return 0;
}

size_t strlen(const char *s)
{
	size_t length = 0;
	while (s[length])
		length++;
	return length;
}

int strncmp(const char *a, const char *b, size_t size)
{
	for (; size && *a && *a == *b; size--, a++, b++)
		;
	return size ? (u8)*a - (u8)*b : 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, ~0UL); }

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

void strlcpy(char *to, const char *from, size_t size)
{
	size_t length = MIN(strlen(from), size - 1);
	memcpy(to, from, length);
	to[length] = 0;
}
