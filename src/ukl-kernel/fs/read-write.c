/* Calls that move bytes: read, write and their kin, lseek. */
#include "internal.h"
#include "network.h"

/* Longest transfer of a call (Linux's MAX_RW_COUNT). */
#define TRANSFER_MAX 0x7ffff000UL

static inline ssize_t transfer(struct file *file, void *buffer, size_t size, u64 *position, bool writing)
{
	const struct file_operations *operations = file->operations;
	u32 other = writing ? O_RDONLY : O_WRONLY;
	if ((file->flags & O_ACCMODE) == other || (writing ? !operations->write : !operations->read))
		return -EBADF;
	size = MIN(size, TRANSFER_MAX);
	file_ref(file);		/* another thread may close it meanwhile */
	ssize_t result = writing ? operations->write(file, buffer, size, position)
				 : operations->read(file, buffer, size, position);
	file_unref(file);
	return result;
}

ssize_t file_read(struct file *file, void *buffer, size_t size)
{
	return transfer(file, buffer, size, &file->position, false);
}
ssize_t file_write(struct file *file, const void *buffer, size_t size)
{
	return transfer(file, (void *)buffer, size, &file->position, true);
}

long sys_read(int descriptor, void *buffer, size_t size)
{
	struct file *file = file_get(descriptor);
	return file ? file_read(file, buffer, size) : -EBADF;
}
long sys_write(int descriptor, const void *buffer, size_t size)
{
	struct file *file = file_get(descriptor);
	return file ? file_write(file, buffer, size) : -EBADF;
}

static long transfer_at(int descriptor, void *buffer, size_t size, s64 position, bool writing)
{
	struct file *file = file_get(descriptor);
	if (!file || position < 0)
		return file ? -EINVAL : -EBADF;
	return file->operations->seekable ? transfer(file, buffer, size, (u64 *)&position, writing) : -ESPIPE;
}
long sys_pread64(int from, void *to, size_t size, s64 at) { return transfer_at(from, to, size, at, false); }
long sys_pwrite64(int to, void *from, size_t size, s64 at) { return transfer_at(to, from, size, at, true); }

/* Only the first vector may wait: what was moved already is returned, not kept until more can be. */
static long transfer_vectors(int descriptor, const struct iovec *vectors, u64 count, bool writing)
{
	struct file *file = file_get(descriptor);
	ssize_t done = 0;
	if (!file || count > IOV_MAX)
		return file ? -EINVAL : -EBADF;
#if CONFIG_NET
	if (is_inet(file))
		return inet_vectors(file, vectors, count, writing);
#endif
	for (u64 i = 0; i < count; i++) {
		struct iovec vector;
		if (copy_from_user(&vector, &vectors[i], sizeof(vector)))
			return done ? done : -EFAULT;
		if (vector.size == 0)
			continue;
		if (done && !writing && file->operations->poll && !(file->operations->poll(file) & POLLIN))
			break;
		ssize_t moved = writing ? file_write(file, vector.base, vector.size)
					: file_read(file, vector.base, vector.size);
		if (moved < 0)
			return done ? done : moved;
		done += moved;
		if ((u64)moved < vector.size)
			break;
	}
	return done;
}
long sys_readv(int from, const struct iovec *to, u64 count) { return transfer_vectors(from, to, count, false); }
long sys_writev(int to, const struct iovec *from, u64 count) { return transfer_vectors(to, from, count, true); }

long sys_lseek(int descriptor, s64 offset, u32 origin)
{
	struct file *file = file_get(descriptor);
	s64 position;
	if (!file || !file->operations->seekable)
		return file ? -ESPIPE : -EBADF;
	if (S_ISCHR(file->inode->mode))
		return 0;	/* /dev/zero and its like have no position */
	s64 base = origin == SEEK_SET ? 0 : origin == SEEK_CUR ? (s64)file->position : (s64)file->inode->size;
	if (origin > SEEK_END || __builtin_add_overflow(base, offset, &position) || position < 0)
		return -EINVAL;
	return file->position = position;
}
