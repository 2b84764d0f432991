/*
 * The bytes of regular files: a tree of page frames, 512 to a node, as high as the size asks for; a missing page
 * is a hole. A file of the initial archive reads the archive's own bytes until a page of it is written: a machine
 * of 8 MB has no room for two copies.
 */
#include "internal.h"

enum { FANOUT = PAGE_SIZE / sizeof(paddr_t), HEIGHT_MAX = 3 };
#define SIZE_MAXIMUM (PAGE_SIZE * FANOUT * FANOUT * FANOUT)

/* The slot of the file's page number `index`; NULL: beyond the tree, or (unless `grow`) in a hole. */
static paddr_t *page_slot(struct inode *inode, u64 index, bool grow)
{
	while (index >> (9 * inode->content.height)) {
		if (!grow)
			return NULL;
		if (inode->content.tree) {
			paddr_t node = page_alloc();
			if (!node)
				return NULL;
			*(paddr_t *)direct(node) = inode->content.tree;
			inode->content.tree = node;
		}
		inode->content.height++;
	}
	paddr_t *slot = &inode->content.tree;
	for (u32 level = inode->content.height; level > 0; level--) {
		if (!*slot && (!grow || !(*slot = page_alloc())))
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
		if (!(*slot = page_alloc()))
			return NULL;
		inode->content.frames++;
		if (start < inode->content.archive_size)
			memcpy(direct(*slot), inode->content.archive + start,
			       MIN(PAGE_SIZE, inode->content.archive_size - start));
	}
	return direct(*slot);
}

static ssize_t regular_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	struct inode *inode = file->inode;
	size_t done = 0;

	if (*position >= inode->size)
		return 0;
	size = MIN(size, inode->size - *position);
	while (done < size) {
		size_t piece = size - done;
		const u8 *from = content_at(inode, *position, &piece);
		if (from ? copy_to_user(buffer + done, from, piece) : clear_user(buffer + done, piece))
			return done ? (ssize_t)done : -EFAULT;
		done += piece;
		*position += piece;
	}
	return done;
}

static ssize_t regular_read_kernel(struct file *file, void *to, size_t size, u64 position)
{
	struct inode *inode = file->inode;
	size_t done = 0;

	if (position >= inode->size)
		return 0;
	size = MIN(size, inode->size - position);
	while (done < size) {
		size_t piece = size - done;
		const u8 *from = content_at(inode, position + done, &piece);
		if (from)
			memcpy(to + done, from, piece);
		else
			memset(to + done, 0, piece);
		done += piece;
	}
	return done;
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
		u8 *page;
		if (*position >= SIZE_MAXIMUM)
			error = -EFBIG;
		else if (!(page = content_page(inode, *position)))
			error = -ENOSPC;
		else if (!(error = copy_from_user(page + offset, buffer + done, piece))) {
			done += piece;
			*position += piece;
			inode->size = MAX(inode->size, *position);
		}
	}
	if (done)
		inode->modified = inode->changed = time_of_day();
	return done ? (ssize_t)done : error;
}

ssize_t inode_write_kernel(struct inode *inode, const void *from, size_t size, u64 position)
{
	for (size_t done = 0; done < size;) {
		u64 offset = (position + done) % PAGE_SIZE;
		size_t piece = MIN(size - done, PAGE_SIZE - offset);
		u8 *page = content_page(inode, position + done);
		if (!page)
			return -ENOSPC;
		memcpy(page + offset, from + done, piece);
		done += piece;
		inode->size = MAX(inode->size, position + done);
	}
	return size;
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
