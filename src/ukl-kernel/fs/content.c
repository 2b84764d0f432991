/*
 * The bytes of regular files: a tree of page frames, 512 to a node, as high as the size asks for; a missing page
 * is a hole. A file of the initial archive reads the archive's own bytes until a page of it is written: a machine
 * of 8 MB has no room for two copies.
 */
#include "internal.h"

enum { FANOUT = PAGE_SIZE / sizeof(paddr_t), HEIGHT_MAX = 3 };
#define SIZE_MAXIMUM (PAGE_SIZE * FANOUT * FANOUT * FANOUT)

/* Files leave the last sixteenth of memory to programs: a full file system is an error, full memory is an end. */
static paddr_t frame_alloc(void) { return pages_free() > pages_total() / 16 ? page_alloc() : 0; }

/* The slot of the file's page number `index`; NULL: beyond the tree, or (unless `grow`) in a hole. */
static paddr_t *page_slot(struct inode *inode, u64 index, bool grow)
{
	while (index >> (9 * inode->content.height)) {
		if (!grow)
			return NULL;
		if (inode->content.tree) {
			paddr_t node = frame_alloc();
			if (!node)
				return NULL;
			*(paddr_t *)direct(node) = inode->content.tree;
			inode->content.tree = node;
		}
		inode->content.height++;
	}
	paddr_t *slot = &inode->content.tree;
	for (u32 level = inode->content.height; level > 0; level--) {
		if (!*slot && (!grow || !(*slot = frame_alloc())))
			return NULL;
		slot = (paddr_t *)direct(*slot) + (index >> (9 * (level - 1))) % FANOUT;
	}
	return slot;
}

/* Where up to *size bytes at `position` lie in kernel memory; NULL: a hole. Shortens *size to one piece. */
static const u8 *content_at(struct inode *inode, u64 position, size_t *size)
{
	u64 offset = position % PAGE_SIZE;
	paddr_t *slot = page_slot(inode, position / PAGE_SIZE, false);

	if (slot && *slot) {
		*size = MIN(*size, PAGE_SIZE - offset);
		return (u8 *)direct(*slot) + offset;
	}
	/* Without any pages of its own the file is one piece. */
	if (inode->content.tree)
		*size = MIN(*size, PAGE_SIZE - offset);
	if (position < inode->content.archive_size) {
		*size = MIN(*size, inode->content.archive_size - position);
		return inode->content.archive + position;
	}
	*size = MIN(*size, PAGE_SIZE - offset);
	return NULL;
}

/* The page that holds `position`, made if it is not there. */
static u8 *content_page(struct inode *inode, u64 position)
{
	paddr_t *slot = page_slot(inode, position / PAGE_SIZE, true);
	u64 start = ALIGN_DOWN(position, PAGE_SIZE);

	if (!slot)
		return NULL;
	if (!*slot) {
		if (!(*slot = frame_alloc()))
			return NULL;
		inode->content.frames++;
		if (start < inode->content.archive_size)
			memcpy(direct(*slot), inode->content.archive + start,
			       MIN(PAGE_SIZE, inode->content.archive_size - start));
	}
	return direct(*slot);
}

/* Into the application's memory or, for page faults and exec, the kernel's. */
static ssize_t content_read(struct inode *inode, void *to, size_t size, u64 position, bool to_user)
{
	size_t done = 0;

	if (position >= inode->size)
		return 0;
	size = MIN(size, inode->size - position);
	while (done < size) {
		size_t piece = size - done;
		const u8 *from = content_at(inode, position + done, &piece);
		long error = 0;
		if (to_user)
			error = from ? copy_to_user(to + done, from, piece) : clear_user(to + done, piece);
		else if (from)
			memcpy(to + done, from, piece);
		else
			memset(to + done, 0, piece);
		if (error)
			return done ? (ssize_t)done : error;
		done += piece;
	}
	return done;
}

static ssize_t content_write(struct inode *inode, const void *from, size_t size, u64 position, bool from_user)
{
	ssize_t error = 0;
	size_t done = 0;

	while (done < size && !error) {
		u64 at = position + done, offset = at % PAGE_SIZE;
		size_t piece = MIN(size - done, PAGE_SIZE - offset);
		u8 *page = at < SIZE_MAXIMUM ? content_page(inode, at) : NULL;
		if (!page)
			error = at < SIZE_MAXIMUM ? -ENOSPC : -EFBIG;
		else if (from_user)
			error = copy_from_user(page + offset, from + done, piece);
		else
			memcpy(page + offset, from + done, piece);
		if (!error) {
			done += piece;
			inode->size = MAX(inode->size, at + piece);
		}
	}
	if (done)
		inode->modified = inode->changed = time_of_day();
	return done ? (ssize_t)done : error;
}

ssize_t inode_write_kernel(struct inode *inode, const void *from, size_t size)
{
	return content_write(inode, from, size, 0, false);
}

static ssize_t regular_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	ssize_t done = content_read(file->inode, buffer, size, *position, true);
	*position += MAX(done, 0);
	return done;
}

static ssize_t regular_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	if (file->flags & O_APPEND)
		*position = file->inode->size;
	ssize_t done = content_write(file->inode, buffer, size, *position, true);
	*position += MAX(done, 0);
	return done;
}

static ssize_t regular_read_kernel(struct file *file, void *to, size_t size, u64 position)
{
	return content_read(file->inode, to, size, position, false);
}

/* Frees the pages from number `first` on in the subtree `*slot`, whose first page is number `base`. */
static void prune(struct inode *inode, paddr_t *slot, u32 height, u64 base, u64 first)
{
	u64 covers = 1UL << (9 * height);

	if (!*slot || base + covers <= first)
		return;
	if (height > 0) {
		paddr_t *node = direct(*slot);
		for (u32 i = 0; i < FANOUT; i++)
			prune(inode, &node[i], height - 1, base + i * (covers / FANOUT), first);
	}
	if (base < first)
		return;
	if (height == 0)
		inode->content.frames--;
	page_unref(*slot);
	*slot = 0;
}

long inode_truncate(struct inode *inode, u64 size)
{
	if (size > SIZE_MAXIMUM)
		return -EFBIG;
	if (size < inode->size) {
		/* What is beyond the end must read as zeroes when the file grows again. */
		if (size % PAGE_SIZE) {
			paddr_t *slot = page_slot(inode, size / PAGE_SIZE, false);
			if (slot && *slot)
				memset((u8 *)direct(*slot) + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
		}
		prune(inode, &inode->content.tree, inode->content.height, 0, ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
		inode->content.archive_size = MIN(inode->content.archive_size, size);
	}
	inode->size = size;
	inode->modified = inode->changed = time_of_day();
	return 0;
}

void content_free(struct inode *inode)
{
	prune(inode, &inode->content.tree, inode->content.height, 0, 0);
}

const struct file_operations regular_operations = {
	.seekable = true,
	.read = regular_read,
	.write = regular_write,
	.read_kernel = regular_read_kernel,
};
