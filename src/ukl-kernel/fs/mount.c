/*
 * Disks in the tree: mounting and unmounting, the lock, and the calls that only disks need. What is on a disk hangs on a
 * directory in memory. A disk is waited for in the middle of a call, so one thread at a time is in the tree: the lock is
 * around whole calls, and around reads and writes of files on disks. A page fault in one of them may need a file too:
 * who has the lock gets it again.
 */
#include "ext2.h"

enum { MS_RDONLY = 1, MS_IGNORED = 0x3200e | 0x8000 | 0x400 };	/* nosuid, nodev, noexec, noatime ...: as it is anyway */
enum { NODES_KEPT = 256, TMPFS_MAGIC = 0x01021994, MNT_FORCE_DETACH_EXPIRE = 7 };

static struct list mounts = LIST_INIT(mounts);
static struct { struct thread *owner; u32 depth; struct wait_queue waiters; } lock = {
	.waiters = WAIT_QUEUE_INIT(lock.waiters),
};

static void reap(void)
{
	struct ext2 *fs;
	list_for_each(fs, &mounts, link)
		if (fs->reap || fs->node_count > NODES_KEPT)
			ext2_reap(fs, false, NODES_KEPT);
}

void tree_lock(void)
{
	struct thread *thread = current_thread();
	u64 flags = irq_save();
	while (lock.owner && lock.owner != thread)
		wait_uninterrupted(&lock.waiters);
	lock.owner = thread;
	irq_restore(flags);
	if (lock.depth++ == 0)
		reap();		/* what was closed since, without the lock */
}

void tree_unlock(void)
{
	if (lock.depth == 1)
		reap();
	if (--lock.depth > 0)
		return;
	lock.owner = NULL;
	wake_all(&lock.waiters);
}

/* As path_walk() goes on by a name: in a directory in memory or on a disk, and to what is mounted there. */
long mount_find(struct lookup *at)
{
	if (on_disk(at->directory))
		return ext2_lookup(at);
	at->inode = inode_find(at->directory, at->name);
	if (at->inode && at->inode->mounted)
		at->inode = at->inode->mounted;
	return 0;
}

bool is_mounted(const struct inode *inode) { return on_disk(inode) && inode == inode->ext2->root; }

static long mount_at(struct disk *disk, struct inode *covered, bool read_only)
{
	struct ext2 *fs;
	if (!S_ISDIR(covered->mode))
		return -ENOTDIR;
	if (covered == root || on_disk(covered) || disk->mounted)
		return -EBUSY;
	if (disk->read_only && !read_only)
		return -EACCES;
	TRY(ext2_mount(disk, read_only, &fs));
	inode_ref(covered);
	fs->covered = covered;
	fs->device = DISK_MAJOR << 8 | (u64)(disk->name[2] - 'a') * DISK_MINORS;
	covered->mounted = fs->root;
	/* `..` and getcwd lead out by the name of what is covered. */
	ext2_name(node_of(fs->root), covered->directory, covered->name);
	list_add_tail(&mounts, &fs->link);
	disk->mounted = true;
	return 0;
}

long sys_mount(const char *source, const char *target, const char *type, u64 flags)
{
	struct inode *device, *covered;
	char name[8];
	TRY(inode_at(AT_FDCWD, source, 0, &device));
	TRY(inode_at(AT_FDCWD, target, 0, &covered));
	long length = copy_string_from_user(name, type, sizeof(name));
	if (length == -EFAULT || flags & ~(u64)(MS_RDONLY | MS_IGNORED))
		return length == -EFAULT ? length : -EINVAL;
	if (length < 0 || strcmp(name, "ext2"))
		return -ENODEV;
	struct disk *disk = disk_by_number(device->device);
	if (!S_ISBLK(device->mode))
		return -ENOTBLK;
	return disk ? mount_at(disk, covered, flags & MS_RDONLY) : -ENXIO;
}

static long unmount(struct ext2 *fs)
{
	fs->covered->mounted = NULL;
	inode_unref(fs->covered);
	list_remove(&fs->link);
	fs->disk->mounted = false;
	return ext2_unmount(fs);
}

/* Used is what has open files, current directories, running programs or mapped files in it. */
long sys_umount2(const char *target, u32 flags)
{
	struct inode *inode;
	TRY(inode_at(AT_FDCWD, target, 0, &inode));
	if (!is_mounted(inode) || flags & MNT_FORCE_DETACH_EXPIRE)
		return -EINVAL;
	struct ext2 *fs = inode->ext2;
	ext2_reap(fs, false, 0);
	return fs->node_count > 1 || fs->root->references > 1 ? -EBUSY : unmount(fs);
}

/* `mount=/dev/vda:/mnt` or `mount=/dev/vda:/mnt:ro` on the command line; the directory is made. */
void mount_option(const char *option)
{
	struct lookup device, at;
	struct inode *covered;
	char source[32], target[64];
	size_t length = 0;
	const char *colon = strchr(option, ':') ?: option + strlen(option), *rest = *colon ? colon + 1 : colon;
	strlcpy(source, option, MIN(sizeof(source), (size_t)(colon - option) + 1));
	while (rest[length] && rest[length] != ':')
		length++;
	strlcpy(target, rest, MIN(sizeof(target), length + 1));
	bool read_only = !strcmp(rest + length, ":ro");
	tree_lock();
	long error = path_walk(root, source, true, &device);
	struct disk *disk = !error && device.inode ? disk_by_number(device.inode->device) : NULL;
	if (!error)
		error = disk ? path_walk(root, target, true, &at) : -ENXIO;
	if (!error && !(covered = at.inode))
		error = inode_make(&at, S_IFDIR | 0755, &covered);
	if (!error)
		error = mount_at(disk, covered, read_only || disk->read_only);
	tree_unlock();
	if (error)
		printk("ukl-kernel: mount=%s: error %ld\n", option, -error);
}

/* Nodes of the disks that were found. */
void disk_nodes(void)
{
	struct lookup at;
	struct inode *inode;
	char path[16];
	u64 number = DISK_MAJOR << 8;
	for (struct disk *disk = NULL; (disk = disk_next(disk)); number += DISK_MINORS) {
		snprintf(path, sizeof(path), "/dev/%s", disk->name);
		path_walk(root, path, false, &at);
		if (!inode_make(&at, S_IFBLK | 0660, &inode))
			inode->device = number;
	}
}

/* The machine ends: nobody comes into the tree any more, and everything is on its disk. */
void mounts_end(void)
{
	struct ext2 *fs, *after;
	tree_lock();
	list_for_each_safe(fs, after, &mounts, link) {
		const char *name = fs->disk->name;
		list_remove(&fs->link);
		ext2_reap(fs, true, ~0U);
		if (ext2_unmount(fs))
			printk("ukl-kernel: %s: not all could be written\n", name);
	}
}

long sys_sync(void)
{
	struct ext2 *fs;
	list_for_each(fs, &mounts, link)
		ext2_sync(fs);
	return 0;
}

/* What is in memory alone is as safe as it can be. */
static long sync_file(int descriptor, bool whole)
{
	struct file *file = file_get(descriptor);
	if (!file)
		return -EBADF;
	bool has_blocks = S_ISREG(file->inode->mode) || S_ISDIR(file->inode->mode);
	return on_disk(file->inode) ? ext2_sync(file->inode->ext2) : has_blocks || whole ? 0 : -EINVAL;
}
long sys_fsync(int descriptor) { return sync_file(descriptor, false); }
long sys_fdatasync(int descriptor) { return sync_file(descriptor, false); }
long sys_syncfs(int descriptor) { return sync_file(descriptor, true); }

long sys_truncate(const char *path, s64 size)
{
	struct inode *inode;
	TRY(inode_at(AT_FDCWD, path, 0, &inode));
	if (size < 0 || !S_ISREG(inode->mode))
		return S_ISDIR(inode->mode) ? -EISDIR : -EINVAL;
	return inode_truncate(inode, size);
}

/* Files in memory have one name. */
long sys_linkat(int from_at, const char *from, int to_at, const char *to, u32 flags)
{
	struct inode *inode;
	struct lookup at;
	TRY(inode_at(from_at, from, flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW, &inode));
	TRY(path_lookup(to_at, to, false, &at));
	if (!on_disk(at.directory))
		return at.inode ? -EEXIST : on_disk(inode) ? -EXDEV : -EPERM;
	return ext2_link(inode, &at);
}
long sys_link(const char *from, const char *to) { return sys_linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

static long status(struct inode *inode, struct statfs *to)
{
	struct statfs status = { .type = TMPFS_MAGIC, .block_size = PAGE_SIZE, .fragment_size = PAGE_SIZE,
				 .blocks = pages_total(), .free = pages_free(), .available = pages_free(),
				 .name_length = NAME_MAX };
	if (on_disk(inode))
		ext2_statfs(inode->ext2, &status);
	return copy_to_user(to, &status, sizeof(status));
}
long sys_statfs(const char *path, struct statfs *to)
{
	struct inode *inode;
	TRY(inode_at(AT_FDCWD, path, 0, &inode));
	return status(inode, to);
}
long sys_fstatfs(int descriptor, struct statfs *to)
{
	struct file *file = file_get(descriptor);
	return file ? status(file->inode, to) : -EBADF;
}

static long locked(system_call_t call, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	tree_lock();
	long result = call(a, b, c, d, e, f);
	tree_unlock();
	return result;
}

#define LOCKED_CALL(number, name)                                   \
	long tree_##name(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)  \
	{                                                           \
		return locked((system_call_t)(void *)sys_##name, a, b, c, d, e, f); \
	}
TREE_SYSTEM_CALLS(LOCKED_CALL)
