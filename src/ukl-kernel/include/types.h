/* Fixed-width types and the few macros that everything uses. */
#ifndef TYPES_H
#define TYPES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long s64;
typedef long ssize_t;

typedef u64 paddr_t;			/* physical address */
typedef u64 vaddr_t;			/* virtual address */

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define ALIGN_UP(value, alignment) (((value) + (alignment) - 1) & ~((alignment) - 1UL))
#define ALIGN_DOWN(value, alignment) ((value) & ~((alignment) - 1UL))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define NORETURN __attribute__((noreturn))

#endif
