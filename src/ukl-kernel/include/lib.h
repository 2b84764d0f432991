/* Small things every part uses: memory and string functions, printing, panic, lists. */
#ifndef LIB_H
#define LIB_H

#include "types.h"

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *at, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strchr(const char *s, int c);
/* Copies at most size - 1 characters and a NUL. */
void strlcpy(char *to, const char *from, size_t size);

/* %d %u %x %lx %ld %lu %s %p, width and zero padding; %pS: symbol+offset of an address. */
int snprintf(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *to, size_t size, const char *format, va_list arguments);
/* The serial console: COM1, polled. */
void serial_init(void);
void serial_put(char c);
void serial_drain(void);	/* until the last character has left */
/* To the serial console. */
void printk(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct registers;
/* Prints the message, the registers (the current ones if NULL) and a backtrace, and stops the machine. */
NORETURN void panic(const struct registers *registers, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define ASSERT(condition) \
	do { if (!(condition)) panic(NULL, "%s:%d: %s", __FILE_NAME__, __LINE__, #condition); } while (0)

/* The name of the function at `address` and the offset in it; NULL if no symbol covers it. */
const char *symbol_at(u64 address, u64 *offset);

/* Doubly linked circular list; a head is an entry linked to itself. */
struct list { struct list *next, *previous; };
#define LIST_INIT(name) { &(name), &(name) }
static inline void list_init(struct list *head) { head->next = head->previous = head; }
static inline bool list_empty(const struct list *head) { return head->next == head; }
static inline void list_add_tail(struct list *head, struct list *entry)
{
	entry->next = head;
	entry->previous = head->previous;
	head->previous->next = entry;
	head->previous = entry;
}
/* Removes; the entry is then linked to itself, so that removing it again does nothing. */
static inline void list_remove(struct list *entry)
{
	entry->previous->next = entry->next;
	entry->next->previous = entry->previous;
	entry->next = entry->previous = entry;
}
#define list_entry(pointer, type, member) container_of(pointer, type, member)
#define list_for_each(entry, head, member)                                                   \
	for (entry = list_entry((head)->next, __typeof__(*entry), member); &entry->member != (head); \
	     entry = list_entry(entry->member.next, __typeof__(*entry), member))
/* As list_for_each; `entry` may be removed in the body. */
#define list_for_each_safe(entry, after, head, member)                                       \
	for (entry = list_entry((head)->next, __typeof__(*entry), member),                       \
	    after = list_entry(entry->member.next, __typeof__(*entry), member);                  \
	     &entry->member != (head);                                                           \
	     entry = after, after = list_entry(after->member.next, __typeof__(*entry), member))

#endif
