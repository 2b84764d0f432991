/* What the key-value server keeps: hash tables of byte strings, lists, and how much memory they take. */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Bytes, not NUL-terminated. */
struct string { const char *bytes; size_t size; };

enum type { STRING, LIST, SET, HASH };

/* An entry of a table: the key's bytes lie behind it. The value is a string, or the list, set or hash of its type. */
struct entry {
	struct entry *next;
	uint32_t hash;
	enum type type;
	long expires;			/* milliseconds since 1970; 0: never */
	size_t key_size;
	union {
		struct { char *bytes; size_t size, capacity; } value;
		struct list *list;
		struct table *table;
	};
	char key[];
};

struct table { struct entry **buckets; size_t bucket_count, count; };

/* The elements of a list are a ring of pointers. */
struct element { size_t size; char bytes[]; };
struct list { struct element **elements; size_t capacity, start, count; };

static size_t memory_used, memory_limit;

/* As malloc and realloc, but counted; NULL also beyond the limit. */
static void *take(size_t size)
{
	size_t *memory = memory_used + size > memory_limit ? NULL : malloc(size + sizeof(size_t));
	if (!memory)
		return NULL;
	memory_used += size;
	*memory = size;
	return memory + 1;
}

static void give_back(void *at)
{
	if (!at)
		return;
	memory_used -= ((size_t *)at)[-1];
	free((size_t *)at - 1);
}

/* FNV-1a. */
static uint32_t hash_of(struct string key)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < key.size; i++)
		hash = (hash ^ (unsigned char)key.bytes[i]) * 16777619u;
	return hash;
}

static struct entry **table_slot(const struct table *table, struct string key, uint32_t hash)
{
	struct entry **slot = &table->buckets[hash & (table->bucket_count - 1)];
	while (*slot && ((*slot)->hash != hash || (*slot)->key_size != key.size ||
			 memcmp((*slot)->key, key.bytes, key.size)))
		slot = &(*slot)->next;
	return slot;
}

static struct entry *table_find(const struct table *table, struct string key)
{
	return table->count ? *table_slot(table, key, hash_of(key)) : NULL;
}

static bool table_grow(struct table *table)
{
	size_t count = table->bucket_count ? 2 * table->bucket_count : 8;
	struct entry **buckets = take(count * sizeof(*buckets));
	if (!buckets)
		return table->bucket_count > 0;
	memset(buckets, 0, count * sizeof(*buckets));
	for (size_t i = 0; i < table->bucket_count; i++) {
		for (struct entry *entry = table->buckets[i], *next; entry; entry = next) {
			struct entry **bucket = &buckets[entry->hash & (count - 1)];
			next = entry->next;
			entry->next = *bucket;
			*bucket = entry;
		}
	}
	give_back(table->buckets);
	table->buckets = buckets;
	table->bucket_count = count;
	return true;
}

/* The entry of a key, made if it is not there; NULL: no memory. */
static struct entry *table_make(struct table *table, struct string key, bool *made)
{
	uint32_t hash = hash_of(key);
	*made = false;
	if (table->count >= table->bucket_count && !table_grow(table))
		return NULL;
	struct entry **slot = table_slot(table, key, hash);
	if (*slot)
		return *slot;
	struct entry *entry = take(sizeof(*entry) + key.size);
	if (!entry)
		return NULL;
	memset(entry, 0, sizeof(*entry));
	entry->hash = hash;
	entry->key_size = key.size;
	memcpy(entry->key, key.bytes, key.size);
	*slot = entry;
	table->count++;
	*made = true;
	return entry;
}

static void table_free(struct table *table);

/* Forgets the value; the entry is an empty string. */
static void entry_clear(struct entry *entry)
{
	if (entry->type == STRING) {
		give_back(entry->value.bytes);
	} else if (entry->type == LIST) {
		for (size_t i = 0; i < entry->list->count; i++)
			give_back(entry->list->elements[(entry->list->start + i) & (entry->list->capacity - 1)]);
		give_back(entry->list->elements);
		give_back(entry->list);
	} else {
		table_free(entry->table);
		give_back(entry->table);
	}
	entry->type = STRING;
	entry->value.bytes = NULL;
	entry->value.size = entry->value.capacity = 0;
	entry->expires = 0;
}

static void table_remove(struct table *table, struct entry *entry)
{
	struct entry **slot = &table->buckets[entry->hash & (table->bucket_count - 1)];
	while (*slot != entry)
		slot = &(*slot)->next;
	*slot = entry->next;
	table->count--;
	entry_clear(entry);
	give_back(entry);
}

static void table_free(struct table *table)
{
	for (size_t i = 0; i < table->bucket_count; i++) {
		for (struct entry *entry = table->buckets[i], *next; entry; entry = next) {
			next = entry->next;
			entry_clear(entry);
			give_back(entry);
		}
	}
	give_back(table->buckets);
	*table = (struct table){ 0 };
}

/* The entry after `entry` in the order of the table; NULL: the first, or there is none. */
static struct entry *table_next(const struct table *table, const struct entry *entry)
{
	size_t bucket = entry ? (entry->hash & (table->bucket_count - 1)) + 1 : 0;
	if (entry && entry->next)
		return entry->next;
	while (bucket < table->bucket_count && !table->buckets[bucket])
		bucket++;
	return bucket < table->bucket_count ? table->buckets[bucket] : NULL;
}

/* false: no memory, and the value is as before. */
static bool value_append(struct entry *entry, struct string more)
{
	size_t size = entry->value.size + more.size;
	if (size > entry->value.capacity) {
		size_t capacity = entry->value.capacity ? size * 2 : size;
		char *bytes = take(capacity);
		if (!bytes)
			return false;
		if (entry->value.bytes) {
			memcpy(bytes, entry->value.bytes, entry->value.size);
			give_back(entry->value.bytes);
		}
		entry->value.bytes = bytes;
		entry->value.capacity = capacity;
	}
	if (more.size)
		memcpy(entry->value.bytes + entry->value.size, more.bytes, more.size);
	entry->value.size = size;
	return true;
}

static bool value_set(struct entry *entry, struct string value)
{
	size_t before = entry->value.size;
	entry->value.size = 0;
	if (value_append(entry, value))
		return true;
	entry->value.size = before;
	return false;
}

static struct element *list_at(const struct list *list, size_t index)
{
	return list->elements[(list->start + index) & (list->capacity - 1)];
}

static bool list_push(struct list *list, struct string value, bool front)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 4;
		struct element **elements = take(capacity * sizeof(*elements));
		if (!elements)
			return false;
		for (size_t i = 0; i < list->count; i++)
			elements[i] = list_at(list, i);
		give_back(list->elements);
		list->elements = elements;
		list->capacity = capacity;
		list->start = 0;
	}
	struct element *element = take(sizeof(*element) + value.size);
	if (!element)
		return false;
	element->size = value.size;
	memcpy(element->bytes, value.bytes, value.size);
	if (front)
		list->start = (list->start - 1) & (list->capacity - 1);
	list->elements[(list->start + (front ? 0 : list->count)) & (list->capacity - 1)] = element;
	list->count++;
	return true;
}

/* Takes it off the list: to be given back. The list is not empty. */
static struct element *list_pop(struct list *list, bool front)
{
	struct element *element = list_at(list, front ? 0 : list->count - 1);
	if (front)
		list->start = (list->start + 1) & (list->capacity - 1);
	list->count--;
	return element;
}

#endif
