/*
 * The bytes of regular files: page frames, in an array that grows with the file; a missing page is a hole. A file
 * of the initial archive reads the archive's own bytes until a page of it is written: a machine of 8 MB has no
 * room for two copies.
 */
#include "internal.h"

/* An array of pointers is then 4 MB, the most that kmalloc gives. */
#define SIZE_MAXIMUM (1UL << 31)

static u8 zeroes[PAGE_SIZE];	/* what a hole reads as */

/* The page that holds `position`; NULL: not there. */
static u8 *page_at(struct inode *inode, u64 position)
{
	u64 index = position / PAGE_SIZE;
	return index < inode->content.capacity ? inode->content.pages[index] : NULL;
}

/* As page_at, but makes the page; NULL: no memory. */
static u8 *page_make(struct inode *inode, u64 position)
{
	u64 index = position / PAGE_SIZE, start = index * PAGE_SIZE, archive_size = inode->content.archive_size;
	u64 capacity = MAX(inode->content.capacity, 4UL);
	while (capacity <= index)
		capacity *= 2;
	if (capacity > inode->content.capacity) {
		u8 **pages = kmalloc(capacity * sizeof(*pages));
		if (!pages)
			return NULL;
		memcpy(pages, inode->content.pages, inode->content.capacity * sizeof(*pages));
		kfree(inode->content.pages);
		inode->content.pages = pages;
		inode->content.capacity = capacity;
	}
	u8 **page = &inode->content.pages[index];
	if (!*page) {
		/* Files leave the last sixteenth to programs: a full disk is an error, full memory an end. */
		paddr_t frame = pages_free() > pages_total() / 16 ? page_alloc() : 0;
		if (!frame)
			return NULL;
		*page = direct(frame);
		if (start < archive_size)
			memcpy(*page, inode->content.archive + start, MIN(PAGE_SIZE, archive_size - start));
	}
	return *page;
}

/* Into the application's memory or, for page faults and exec, the kernel's. */
static ssize_t content_read(struct inode *inode, void *to, size_t size, u64 *position, bool to_user)
{
	size_t done = 0;
	size = MIN(size, inode->size - MIN(inode->size, *position));
	while (done < size) {
		u64 offset = *position % PAGE_SIZE;
		size_t piece = MIN(size - done, PAGE_SIZE - offset);
		const u8 *from = page_at(inode, *position) ?: zeroes;
		if (from == zeroes && *position < inode->content.archive_size) {
			from = inode->content.archive + *position - offset;
			piece = MIN(piece, inode->content.archive_size - *position);
		}
		if (!to_user)
			memcpy(to + done, from + offset, piece);
		else if (copy_to_user(to + done, from + offset, piece))
			return done ? (ssize_t)done : -EFAULT;
		done += piece;
		*position += piece;
	}
	return done;
}

static ssize_t regular_read(struct file *file, void *to, size_t size, u64 *position)
{
	return content_read(file->inode, to, size, position, true);
}
static ssize_t regular_read_kernel(struct file *file, void *to, size_t size, u64 position)
{
	return content_read(file->inode, to, size, &position, false);
}

static ssize_t regular_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	struct inode *inode = file->inode;
	ssize_t error = 0;
	size_t done = 0;
	if (file->flags & O_APPEND)
		*position = inode->size;
	while (done < size && !error) {
		u64 offset = *position % PAGE_SIZE;
		size_t piece = MIN(size - done, PAGE_SIZE - offset);
		u8 *page = *position < SIZE_MAXIMUM ? page_make(inode, *position) : NULL;
		if (!page)
			error = *position < SIZE_MAXIMUM ? -ENOSPC : -EFBIG;
		else
			error = copy_from_user(page + offset, buffer + done, piece);
		if (!error) {
			done += piece;
			*position += piece;
			inode->size = MAX(inode->size, *position);
		}
	}
	if (done)
		inode->modified = time_of_day();
	return done ? (ssize_t)done : error;
}

long inode_truncate(struct inode *inode, u64 size)
{
	if (on_disk(inode))
		return ext2_truncate(inode, size);
	if (size > SIZE_MAXIMUM)
		return -EFBIG;
	/* What is beyond the end must read as zeroes when the file grows again. */
	for (u64 i = ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE; i < inode->content.capacity; i++) {
		if (inode->content.pages[i])
			page_unref(direct_to_physical(inode->content.pages[i]));
		inode->content.pages[i] = NULL;
	}
	if (size % PAGE_SIZE && page_at(inode, size))
		memset(page_at(inode, size) + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
	inode->content.archive_size = MIN(inode->content.archive_size, size);
	inode->size = size;
	inode->modified = time_of_day();
	return 0;
}

void content_free(struct inode *inode)
{
	inode_truncate(inode, 0);
	kfree(inode->content.pages);
}

const struct file_operations regular_operations = {
	.seekable = true, .read = regular_read, .write = regular_write, .read_kernel = regular_read_kernel,
};
