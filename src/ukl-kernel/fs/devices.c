/* Character devices by number (Linux's Documentation/admin-guide/devices.txt), and the tree before any archive. */
#include "internal.h"

static ssize_t null_read(struct file *file, void *buffer, size_t size, u64 *position) { return 0; }
static ssize_t null_write(struct file *file, const void *buffer, size_t size, u64 *position) { return size; }

static ssize_t zero_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	return clear_user(buffer, size) ? -EFAULT : (ssize_t)size;
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
	return sys_getrandom(buffer, size, 0);
}

static const struct file_operations null_operations = { .seekable = true, .read = null_read, .write = null_write };
static const struct file_operations zero_operations = { .seekable = true, .read = zero_read, .write = null_write };
static const struct file_operations random_operations = { .read = random_read, .write = null_write };

#define DEVICE(major, minor) ((major) << 8 | (minor))

struct node { const char *path; u32 mode; u64 number; const struct file_operations *operations; };
static const struct node nodes[] = {
	{ "/dev", S_IFDIR | 0755, 0, NULL },
	{ "/dev/null", S_IFCHR | 0666, DEVICE(1, 3), &null_operations },
	{ "/dev/zero", S_IFCHR | 0666, DEVICE(1, 5), &zero_operations },
	{ "/dev/random", S_IFCHR | 0666, DEVICE(1, 8), &random_operations },
	{ "/dev/urandom", S_IFCHR | 0666, DEVICE(1, 9), &random_operations },
	{ "/dev/ttyS0", S_IFCHR | 0660, DEVICE(4, 64), &tty_operations },
	{ "/dev/tty", S_IFCHR | 0666, DEVICE(5, 0), &tty_operations },
	{ "/dev/console", S_IFCHR | 0600, DEVICE(5, 1), &tty_operations },
	{ "/tmp", S_IFDIR | 01777, 0, NULL },
	/* All of /proc: busybox's shell runs its own commands by this link. */
	{ "/proc", S_IFDIR | 0555, 0, NULL },
	{ "/proc/self", S_IFDIR | 0555, 0, NULL },
	{ "/proc/self/exe", S_IFLNK | 0777, 0, NULL },
};

void filesystem_init(const void *archive, size_t size)
{
	struct lookup at;
	struct inode *inode;
	root = inode_create(S_IFDIR | 0755);
	root->directory = root;
	root->name = "";
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		path_walk(root, nodes[i].path, false, &at);
		inode_make(&at, nodes[i].mode, &inode);
		inode->device = nodes[i].number;
		inode->operations = nodes[i].operations ?: inode->operations;
	}
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
