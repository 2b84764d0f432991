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
	for (int i = 0; i < 8; i++) {
		u8 digit = digits[i];
		value = value << 4 | ((digit & 15) + (digit > '9' ? 9 : 0));
	}
	return value;
}

/* Files with several names: cpio gives each name a header, and the bytes with the last of them. */
struct linked { u64 number; struct inode *inode; };

static long unpack_one(const struct cpio_header *header, const char *name, const u8 *data, struct linked *linked)
{
	u32 mode = hex(header->mode);
	u64 size = hex(header->size), device = hex(header->special_major) << 8 | hex(header->special_minor);
	bool shared = S_ISREG(mode) && hex(header->links) > 1;
	struct inode *inode = NULL;
	struct lookup at;

	long error = path_walk(inode_root(), name, 0, &at);
	if (error)
		return error;
	if (at.inode && (S_ISDIR(mode) || S_ISCHR(mode)))
		return 0;		/* /, /dev, /dev/console */
	if (at.inode && at.entry && !S_ISDIR(at.inode->mode)) {
		entry_remove(at.entry);
		at.entry = NULL;
		at.inode = NULL;
	}
	if (S_ISLNK(mode))
		return symlink_make(&at, (const char *)data, size);
	if (shared && linked->inode && linked->number == hex(header->inode)) {
		inode = linked->inode;
		error = entry_add(at.directory, at.name, inode);
	} else {
		error = inode_make(&at, mode, device, &inode);
	}
	if (error)
		return error;
	inode->modified = hex(header->time) * NS_PER_SECOND;
	inode->uid = hex(header->uid);
	inode->gid = hex(header->gid);
	if (S_ISREG(mode) && size) {
		inode->content.archive = data;
		inode->content.archive_size = inode->size = size;
	}
	if (shared)
		*linked = (struct linked){ hex(header->inode), inode };
	return 0;
}

void archive_unpack(const void *archive, size_t size)
{
	const char *at = archive, *end = at + size;
	struct linked linked = { 0 };

	while (at + sizeof(struct cpio_header) <= end) {
		const struct cpio_header *header = (const void *)at;
		if (*at == 0) {		/* padding between concatenated archives */
			at++;
			continue;
		}
		if (memcmp(at, "07070", 5) || (at[5] != '1' && at[5] != '2')) {
			printk("initial archive: no newc header at offset %lx: not cpio, or compressed\n",
			       (u64)(at - (const char *)archive));
			return;
		}
		const char *name = at + sizeof(*header);
		u64 name_size = hex(header->name_size);
		/* Name and data begin at multiples of 4 from the archive's start. */
		const char *data = archive + ALIGN_UP((u64)(name + name_size - (const char *)archive), 4);
		u64 data_size = hex(header->size);
		if (name_size == 0 || data > end || data_size > (u64)(end - data) || name[name_size - 1]) {
			printk("initial archive: cut short at offset %lx\n", (u64)(at - (const char *)archive));
			return;
		}
		if (strcmp(name, "TRAILER!!!")) {
			long error = unpack_one(header, name, (const u8 *)data, &linked);
			if (error)
				printk("initial archive: %s: error %ld\n", name, -error);
		}
		at = archive + ALIGN_UP((u64)(data + data_size - (const char *)archive), 4);
	}
}
