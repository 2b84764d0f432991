/*
 * Files: the tree of inodes, what a descriptor refers to, readiness.
 *
 * Kernel code is not preempted: a thread loses the processor only where it waits. So nothing here is locked; a
 * lookup's result stays good until the next wait, and whoever waits holds references.
 */
#ifndef FILE_H
#define FILE_H

#include "abi-files.h"
#include "process.h"

struct inode;
struct file;

/* All buffers are the application's: use copy_to_user and copy_from_user. Results: bytes, or negative errno. */
struct file_operations {
	bool seekable;					/* has a position: lseek, pread, pwrite */
	long (*open)(struct file *file);		/* NULL: nothing to do */
	ssize_t (*read)(struct file *file, void *buffer, size_t size, u64 *position);
	ssize_t (*write)(struct file *file, const void *buffer, size_t size, u64 *position);
	u32 (*poll)(struct file *file);			/* POLLIN, POLLOUT, POLLHUP ... that hold now; NULL: both */
	long (*ioctl)(struct file *file, u32 request, u64 argument);
	void (*release)(struct file *file);		/* last reference is gone */
	/* Into kernel memory, for page faults and exec; NULL: cannot be mapped. */
	ssize_t (*read_kernel)(struct file *file, void *to, size_t size, u64 position);
};

/* A name in a directory. */
struct entry {
	struct list link;		/* in the directory's entries */
	struct inode *directory;
	struct inode *inode;		/* referenced */
	u64 cookie;			/* place in the directory: d_off of the entry before */
	u32 hash;
	char name[];
};

struct inode {
	u32 references;			/* names, open files, current directories, executables */
	u32 mode;			/* S_IF* and permissions */
	u32 links, uid, gid;
	u64 number;			/* st_ino */
	u64 size;			/* bytes */
	u64 device;			/* st_rdev */
	u64 accessed, modified, changed;	/* ns since 1970 */
	struct entry *name;		/* the latest of its names; NULL: none (root, unlinked, anonymous) */
	void (*refresh)(struct inode *inode);	/* /proc: brings what it holds up to date; else NULL */
	union {
		struct {		/* regular file: fs/content.c */
			paddr_t tree;
			u32 height;
			u64 frames;
			const u8 *archive;
			u64 archive_size;
		} content;
		struct {		/* directory */
			struct list entries;
			u64 next_cookie;
		} directory;
		char *target;		/* symbolic link */
		struct pipe *pipe;	/* FIFO */
		struct socket *socket;
	};
};

struct file {
	u32 references;
	u32 flags;			/* O_* of open */
	u64 position;
	const struct file_operations *operations;
	struct inode *inode;		/* referenced */
};

/* fs/inode.c */
struct inode *inode_create(u32 mode);	/* references 1; NULL: no memory */
void inode_ref(struct inode *inode);
void inode_unref(struct inode *inode);
struct inode *root_directory(void);	/* referenced */
long inode_path(struct inode *inode, char *to, size_t size);	/* absolute path; its length, -ENOENT, -ERANGE */
struct entry *entry_find(struct inode *directory, const char *name, size_t length);
long entry_add(struct inode *directory, const char *name, struct inode *inode);
void entry_remove(struct entry *entry);
struct inode *inode_parent(struct inode *directory);
long inode_truncate(struct inode *inode, u64 size);	/* fs/content.c */
ssize_t inode_write_kernel(struct inode *inode, const void *from, size_t size);	/* at its start */

/* fs/path.c: a path's last component. */
struct lookup {
	struct inode *directory;	/* that holds it */
	struct entry *entry;		/* NULL: nothing there, or `.`, `..`, `/` */
	struct inode *inode;		/* what it names; NULL: nothing there */
	bool must_be_directory;		/* a slash follows */
	char name[NAME_MAX + 1];	/* may be `.`, `..` or empty (the root) */
};
enum { LOOKUP_FOLLOW = 1, LOOKUP_EMPTY = 2 };	/* a final symbolic link; AT_EMPTY_PATH */
long path_walk(struct inode *from, const char *path, u32 flags, struct lookup *found);	/* kernel's path */
long path_lookup(int at, const char *path, u32 flags, struct lookup *found);		/* application's path */

/* Descriptors: fs/descriptors.c. */
struct file *file_create(struct inode *inode, const struct file_operations *operations, u32 flags); /* references both */
static inline void file_ref(struct file *file) { file->references++; }
void file_unref(struct file *file);
struct file *file_get(int descriptor);	/* not referenced; NULL: no such descriptor */
int descriptor_install(struct file *file, int from, bool close_on_exec);	/* takes the reference; -EMFILE */
long descriptor_install_pair(struct file *first, struct file *second, int *to, bool close_on_exec);
struct files *files_create(void);
struct files *files_fork(struct files *from);
void files_unref(struct files *files);
void files_close_on_exec(struct files *files);

/* Opens a path for the kernel (exec, console). `path` is kernel memory. */
long file_open(const char *path, u32 flags, u32 mode, struct file **result);
long inode_open(struct inode *inode, u32 flags, struct file **result);

/* fs/init.c: makes the root and /dev and unpacks the archives. Sizes in bytes; absent: 0. */
void filesystem_init(const void *archive, size_t size);
void archive_unpack(const void *archive, size_t size);	/* a further one, over what is there */
long console_open(struct files *files);			/* as 0, 1 and 2 */

/* For shortcuts and the system calls alike. */
ssize_t file_read(struct file *file, void *buffer, size_t size);
ssize_t file_write(struct file *file, const void *buffer, size_t size);
ssize_t socket_send(struct file *file, const void *buffer, size_t size, u32 flags);
ssize_t socket_receive(struct file *file, void *buffer, size_t size, u32 flags);

/* Readiness. poll and select wait here for any file; a file that becomes ready wakes its own queue and this. */
extern struct wait_queue poll_waiters;
static inline void file_wake(struct wait_queue *queue)
{
	if (!list_empty(&queue->waiters))
		wake_all(queue);
	if (!list_empty(&poll_waiters.waiters))
		wake_all(&poll_waiters);
}

/* fs/devices.c */
const struct file_operations *device_operations(u64 device);	/* of a character device's number; NULL: none */
void random_fill(void *to, size_t size);	/* not for secrets: seeded by the TSC */

#endif
