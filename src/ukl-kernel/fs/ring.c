/* Bytes on their way through a pipe or a socket. */
#include "internal.h"

ssize_t ring_write(struct ring *ring, u32 behind, const void *buffer, size_t size)
{
	for (size_t done = 0; done < size;) {
		u32 at = (ring->start + ring->used + behind + done) % RING_SIZE;
		size_t piece = MIN(size - done, PAGE_SIZE - at % PAGE_SIZE);
		u8 **page = &ring->pages[at / PAGE_SIZE];
		long error = 0;
		if (!*page) {
			paddr_t frame = page_alloc();
			if (frame)
				*page = direct(frame);
			else
				error = -ENOMEM;
		}
		if (!error)
			error = copy_from_user(*page + at % PAGE_SIZE, buffer + done, piece);
		if (error)
			return done ? (ssize_t)done : error;
		done += piece;
	}
	return size;
}

ssize_t ring_read(struct ring *ring, u32 skip, void *buffer, size_t size)
{
	for (size_t done = 0; done < size;) {
		u32 at = (ring->start + skip + done) % RING_SIZE;
		size_t piece = MIN(size - done, PAGE_SIZE - at % PAGE_SIZE);
		if (copy_to_user(buffer + done, ring->pages[at / PAGE_SIZE] + at % PAGE_SIZE, piece))
			return done ? (ssize_t)done : -EFAULT;
		done += piece;
	}
	return size;
}

void ring_free(struct ring *ring)
{
	for (u32 i = 0; i < RING_PAGES; i++)
		if (ring->pages[i])
			page_unref(direct_to_physical(ring->pages[i]));
}
