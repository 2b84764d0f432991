/*
 * Initial archives: cpio's newc format (Linux's Documentation/driver-api/early-userspace/buffer-format.rst).
 * Regular files keep the archive's bytes where they are, so archives stay in memory for good.
 */
#include "internal.h"

/* All fields are eight hexadecimal digits. */
struct cpio_header {
	char magic[6];		/* "070701"; "070702" has a checksum, which is not looked at */
	char inode[8], mode[8], uid[8], gid[8], links[8], time[8], size[8], major[8], minor[8];
	char special_major[8], special_minor[8], name_size[8], checksum[8];
};

static u64 hex(const char *digits)
{
	u64 value = 0;
	for (int i = 0; i < 8; i++)
		value = value << 4 | ((digits[i] & 15) + (digits[i] > '9' ? 9 : 0));
	return value;
}

static long unpack_one(const struct cpio_header *header, const char *name, const char *data, u64 size)
{
	u32 mode = hex(header->mode);
	struct inode *inode;
	struct lookup at;
	TRY(path_walk(root, name, false, &at));
	if (at.inode && (S_ISDIR(mode) || S_ISCHR(mode)))
		return 0;		/* /, /dev, /dev/console */
	if (at.inode && !S_ISDIR(at.inode->mode)) {
		inode_unlink(at.inode);
		at.inode = NULL;
	}
	if (S_ISLNK(mode))
		return symlink_make(&at, data, size);
	if (S_ISREG(mode) && hex(header->links) > 1 && !size)
		return -EMLINK;		/* a hard link: the bytes are with the file's last name only */
	TRY(inode_make(&at, mode, &inode));
	inode->modified = hex(header->time) * NS_PER_SECOND;
	if (S_ISREG(mode) && size) {
		inode->content.archive = (const u8 *)data;
		inode->content.archive_size = inode->size = size;
	}
	return 0;
}

void archive_unpack(const void *archive, size_t size)
{
	for (u64 at = 0; at + sizeof(struct cpio_header) <= size;) {
		const struct cpio_header *header = archive + at;
		if (!header->magic[0]) {	/* padding between concatenated archives */
			at++;
			continue;
		}
		if (memcmp(header->magic, "07070", 5) || (header->magic[5] != '1' && header->magic[5] != '2')) {
			printk("initial archive: no newc header at offset %lx: not cpio, or compressed\n", at);
			return;
		}
		/* Name and data begin at multiples of 4 from the archive's start. */
		const char *name = (const char *)(header + 1);
		u64 name_size = hex(header->name_size), data_size = hex(header->size);
		u64 data = ALIGN_UP(at + sizeof(*header) + name_size, 4);
		if (name_size == 0 || data > size || data_size > size - data || name[name_size - 1]) {
			printk("initial archive: cut short at offset %lx\n", at);
			return;
		}
		if (strcmp(name, "TRAILER!!!")) {
			long error = unpack_one(header, name, archive + data, data_size);
			if (error)
				printk("initial archive: %s: error %ld\n", name, -error);
		}
		at = ALIGN_UP(data + data_size, 4);
	}
}
