/* Files: what a descriptor refers to, the file tree, and the ways of waiting for readiness. */
#ifndef FILE_H
#define FILE_H

#include "abi.h"
#include "process.h"

struct inode;
struct file;

/* All buffers are the application's: use copy_to_user and copy_from_user. Results: bytes, or negative errno. */
struct file_operations {
	ssize_t (*read)(struct file *file, void *buffer, size_t size, u64 *position);
	ssize_t (*write)(struct file *file, const void *buffer, size_t size, u64 *position);
	u32 (*poll)(struct file *file);			/* POLLIN, POLLOUT, POLLHUP ... that hold now */
	struct wait_queue *(*poll_queue)(struct file *file);	/* woken when poll's answer may have changed */
	long (*ioctl)(struct file *file, u32 request, u64 argument);
	void (*release)(struct file *file);		/* last reference is gone */
	/* Into kernel memory, for page faults and exec; NULL: cannot be mapped. */
	ssize_t (*read_kernel)(struct file *file, void *to, size_t size, u64 position);
};

struct file {
	u32 references;
	u32 flags;			/* O_* of open */
	u64 position;
	const struct file_operations *operations;
	struct inode *inode;		/* referenced; NULL for pipes and sockets */
	void *private_data;
	char *path;			/* absolute, of open; NULL for pipes and sockets */
};

struct file *file_create(const struct file_operations *operations, u32 flags);	/* references 1 */
void file_ref(struct file *file);
void file_unref(struct file *file);
struct file *file_get(int descriptor);	/* not referenced; NULL: no such descriptor */
int descriptor_install(struct file *file, int from, bool close_on_exec);	/* takes the reference; -EMFILE */
struct files *files_create(void);
struct files *files_fork(struct files *from);
void files_unref(struct files *files);
void files_close_on_exec(struct files *files);

/* Opens a path for the kernel (exec, console). `path` is kernel memory. */
long file_open(const char *path, u32 flags, u32 mode, struct file **result);

void inode_ref(struct inode *inode);
void inode_unref(struct inode *inode);
struct inode *root_directory(void);	/* referenced */

/* fs/init.c: mounts tmpfs, unpacks the archive, makes /dev; opens the console as 0, 1 and 2. */
void filesystem_init(const void *archive, size_t size);
long console_open(struct files *files);

/* For shortcuts and the system calls alike. */
ssize_t file_read(struct file *file, void *buffer, size_t size);
ssize_t file_write(struct file *file, const void *buffer, size_t size);
ssize_t socket_send(struct file *file, const void *buffer, size_t size, u32 flags);
ssize_t socket_receive(struct file *file, void *buffer, size_t size, u32 flags);

#endif
