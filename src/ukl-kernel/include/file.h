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
	ssize_t (*read)(struct file *file, void *buffer, size_t size, u64 *position);
	ssize_t (*write)(struct file *file, const void *buffer, size_t size, u64 *position);
	u32 (*poll)(struct file *file);			/* POLLIN, POLLOUT ... that hold now; NULL: both */
	long (*ioctl)(struct file *file, u32 request, u64 argument);
	void (*release)(struct file *file);		/* last reference is gone */
	/* Into kernel memory, for page faults and exec; NULL: cannot be mapped. */
	ssize_t (*read_kernel)(struct file *file, void *to, size_t size, u64 position);
#if CONFIG_NET
	/* Where it is told that poll()'s answer may have changed; either may be NULL. NULL: cannot be in an epoll. */
	void (*queues)(struct file *file, struct wait_queue *queues[2]);
#endif
};

struct inode {
	u32 references;			/* its name, open files, current directories, executables */
	u32 mode;			/* S_IF* and permissions */
	u64 number;			/* st_ino */
	u64 size;			/* bytes */
	u64 device;			/* st_rdev */
	u64 modified;			/* ns since 1970; stands for the other times too */
	const struct file_operations *operations;	/* of its files; NULL: cannot be opened */
#if CONFIG_DISK
	struct ext2 *ext2;		/* the file system that holds it, on a disk; NULL: in memory */
	struct inode *mounted;		/* directory in memory: the root of what is mounted on it */
#endif
	/* Its one name; NULL if it was removed or never had one. The root is its own directory. */
	struct inode *directory;
	struct list link;		/* in the directory's entries */
	u64 cookie;			/* place in the directory: d_off of the entry before */
	char *name;
	union {
		struct {		/* regular file: fs/content.c */
			u8 **pages;
			u64 capacity;
			const u8 *archive;
			u64 archive_size;
		} content;
		struct {		/* directory */
			struct list list;
			u64 next_cookie;
		} entries;
		char *target;		/* symbolic link; NULL: to what the process executes */
		struct {		/* pipe, socket: fs/channel.c; NULL: cannot be read, written */
			struct channel *in, *out;
		} stream;
		struct socket *socket;	/* Internet socket: fs/socket.c */
		void *special;		/* of fs/epoll.c, fs/eventfd.c */
	};
};

struct file {
	u32 references;
	u32 flags;			/* O_* of open */
	u64 position;
	const struct file_operations *operations;
	struct inode *inode;		/* referenced */
#if CONFIG_NET
	struct watch *watches;		/* of epolls: fs/epoll.c */
#endif
};

#if CONFIG_DISK
static inline bool on_disk(const struct inode *inode) { return inode->ext2 != NULL; }
/* fs/mount.c. For threads; who has it may take it again. Waits for disks, not for signals. */
void tree_lock(void);
void tree_unlock(void);
void disk_nodes(void);			/* /dev/vda ... */
void mount_option(const char *option);	/* "/dev/vda:/mnt", "/dev/vda:/mnt:ro" */
void mounts_end(void);			/* before the machine ends: disks are up to date, and the tree is locked */
#else
#define on_disk(inode) false
#define tree_lock() ((void)0)
#define tree_unlock() ((void)0)
#define disk_nodes() ((void)0)
#define mount_option(option) ((void)0)
#define mounts_end() ((void)0)
#endif

/* fs/inode.c */
struct inode *inode_create(u32 mode);	/* references 1; NULL: no memory */
void inode_ref(struct inode *inode);
void inode_unref(struct inode *inode);
struct inode *root_directory(void);	/* referenced */
long inode_path(struct inode *inode, char *to, size_t size);	/* absolute path; its length, -ENOENT, -ERANGE */

/* Descriptors: fs/descriptors.c. */
struct file *file_create(struct inode *inode, u32 flags);	/* references the inode; NULL: no memory */
static inline void file_ref(struct file *file) { file->references++; }
void file_unref(struct file *file);
struct file *file_get(int descriptor);	/* not referenced; NULL: no such descriptor */
struct files *files_fork(struct files *from);
void files_free(struct files *files);
void files_close_on_exec(struct files *files);

/* Opens a path for the kernel (exec, console). `path` is kernel memory. For threads: under tree_lock(). */
long file_open(const char *path, u32 flags, u32 mode, struct file **result);

/* fs/devices.c, cpio.c: makes the root and /dev and unpacks the archives. Sizes in bytes; absent: 0. */
void filesystem_init(const void *archive, size_t size);
void archive_unpack(const void *archive, size_t size);	/* a further one, over what is there */
long console_open(struct files *files);			/* as 0, 1 and 2 */
void random_fill(void *to, size_t size);		/* not for secrets: seeded by the TSC */

/* For shortcuts and the system calls alike. */
ssize_t file_read(struct file *file, void *buffer, size_t size);
ssize_t file_write(struct file *file, const void *buffer, size_t size);
ssize_t socket_send(struct file *file, const void *buffer, size_t size, u32 flags);
ssize_t socket_receive(struct file *file, void *buffer, size_t size, u32 flags);

#endif
