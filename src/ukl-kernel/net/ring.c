/*
 * The bytes of a stream between an application and its peer. A ring has no memory until something is in it, and
 * grows with what is: most connections never hold more than a page.
 */
#include "internal.h"

bool ring_reserve(struct ring *ring, u32 size)
{
	u32 capacity = MAX(ring->capacity, (u32)RING_MIN);
	while (capacity < size)
		capacity *= 4;		/* few sizes: the heap keeps each for good */
	if (capacity == ring->capacity)
		return true;
	if (ring->pinned || capacity > RING_MAX || !memory_charge(capacity))
		return false;
	u8 *bytes = kmalloc(capacity);
	if (!bytes) {
		memory_credit(capacity);
		return false;
	}
	/* All of it: behind the used bytes may be some that came out of order. */
	u32 first = ring->capacity - ring->start;
	memcpy(bytes, ring->bytes + ring->start, first);
	memcpy(bytes + first, ring->bytes, ring->start);
	u32 used = ring->used;
	ring_free(ring);
	*ring = (struct ring){ .bytes = bytes, .capacity = capacity, .used = used };
	return true;
}

/* One that is being copied to or from lives on, until its socket is freed. */
void ring_free(struct ring *ring)
{
	if (ring->pinned)
		return;
	kfree(ring->bytes);
	memory_credit(ring->capacity);
	*ring = (struct ring){};
}

enum direction { PUT, GET, PUT_USER, GET_USER };

static long copy(u8 *at, void *other, u32 size, enum direction direction)
{
	switch (direction) {
	case PUT:
		memcpy(at, other, size);
		return 0;
	case GET:
		memcpy(other, at, size);
		return 0;
	case PUT_USER:
		return copy_from_user(at, other, size);
	default:
		return copy_to_user(other, at, size);
	}
}

/* In the application's memory a page fault may wait: meanwhile the ring stays where it is. */
static long transfer(struct ring *ring, u32 offset, void *other, u32 size, enum direction direction)
{
	u32 at = (ring->start + offset) & (ring->capacity - 1);
	u32 first = MIN(size, ring->capacity - at);
	ring->pinned++;
	long error = copy(ring->bytes + at, other, first, direction);
	if (!error && first < size)
		error = copy(ring->bytes, other + first, size - first, direction);
	ring->pinned--;
	return error;
}

void ring_put(struct ring *ring, u32 offset, const void *from, u32 size)
{
	transfer(ring, offset, (void *)from, size, PUT);
}
void ring_get(const struct ring *ring, u32 offset, void *to, u32 size)
{
	transfer((struct ring *)ring, offset, to, size, GET);
}
long ring_put_user(struct ring *ring, u32 offset, const void *from, u32 size)
{
	return transfer(ring, offset, (void *)from, size, PUT_USER);
}
long ring_get_user(struct ring *ring, u32 offset, void *to, u32 size)
{
	return transfer(ring, offset, to, size, GET_USER);
}

void ring_consume(struct ring *ring, u32 size)
{
	ring->used -= MIN(size, ring->used);
	if (ring->capacity)
		ring->start = (ring->start + size) & (ring->capacity - 1);
}
