/* Character devices by number (Linux's Documentation/admin-guide/devices.txt). */
#include "internal.h"

static ssize_t null_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	return 0;
}

static ssize_t null_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	return size;
}

static ssize_t zero_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	return clear_user(buffer, size) ? -EFAULT : (ssize_t)size;
}

static ssize_t zero_read_kernel(struct file *file, void *to, size_t size, u64 position)
{
	memset(to, 0, size);
	return size;
}

static ssize_t full_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	return -ENOSPC;
}

/* xorshift64* (Vigna, 2016). */
void random_fill(void *to, size_t size)
{
	static u64 state;
	u8 *at = to;

	if (!state)
		state = rdtsc() | 1;
	for (size_t i = 0; i < size; i++) {
		state ^= state >> 12;
		state ^= state << 25;
		state ^= state >> 27;
		at[i] = state * 0x2545f4914f6cdd1d >> 56;
	}
}

static ssize_t random_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	u8 bytes[256];

	for (size_t done = 0; done < size; done += sizeof(bytes)) {
		size_t piece = MIN(size - done, sizeof(bytes));
		random_fill(bytes, piece);
		if (copy_to_user(buffer + done, bytes, piece))
			return done ? (ssize_t)done : -EFAULT;
	}
	return size;
}

static const struct file_operations null_operations = { .seekable = true, .read = null_read, .write = null_write };
static const struct file_operations zero_operations = {
	.seekable = true, .read = zero_read, .write = null_write, .read_kernel = zero_read_kernel,
};
static const struct file_operations full_operations = { .seekable = true, .read = zero_read, .write = full_write };
static const struct file_operations random_operations = { .seekable = true, .read = random_read, .write = null_write };

#define DEVICE(major, minor) ((major) << 8 | (minor))

static const struct { const char *name; u32 mode; u64 number; const struct file_operations *operations; } devices[] = {
	{ "null", 0666, DEVICE(1, 3), &null_operations },
	{ "zero", 0666, DEVICE(1, 5), &zero_operations },
	{ "full", 0666, DEVICE(1, 7), &full_operations },
	{ "random", 0666, DEVICE(1, 8), &random_operations },
	{ "urandom", 0666, DEVICE(1, 9), &random_operations },
	{ "ttyS0", 0660, DEVICE(4, 64), &tty_operations },
	{ "tty", 0666, DEVICE(5, 0), &tty_operations },
	{ "console", 0600, DEVICE(5, 1), &tty_operations },
};

const struct file_operations *device_operations(u64 number)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if (devices[i].number == number)
			return devices[i].operations;
	return NULL;
}

/* The tree before any archive: /dev with its nodes, /proc, /tmp. */
void filesystem_init(const void *archive, size_t size)
{
	struct lookup at;
	char path[32];

	path_walk(inode_root(), "/dev", 0, &at);
	inode_make(&at, S_IFDIR | 0755, 0, NULL);
	path_walk(inode_root(), "/tmp", 0, &at);
	inode_make(&at, S_IFDIR | 01777, 0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		snprintf(path, sizeof(path), "/dev/%s", devices[i].name);
		path_walk(inode_root(), path, 0, &at);
		inode_make(&at, S_IFCHR | devices[i].mode, devices[i].number, NULL);
	}
	proc_init();
	tty_init();
	if (size)
		archive_unpack(archive, size);
}

long console_open(struct files *files)
{
	struct file *file;
	TRY(file_open("/dev/console", O_RDWR, 0, &file));
	file->references = 3;
	files->open[0] = files->open[1] = files->open[2] = file;
	return 0;
}
