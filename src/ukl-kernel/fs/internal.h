/* What the files of fs/ tell each other and nobody else. */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include "file.h"
#include "syscall.h"

/* File operations have the same parameters whether or not they need them. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* Hands on the error of a call that gives 0 or a negative errno. */
#define TRY(call) do { long error_ = (call); if (error_) return error_; } while (0)

extern const struct file_operations directory_operations, regular_operations, tty_operations;

/* fs/path.c: a path's last component. */
struct lookup {
	struct inode *directory;	/* that holds it */
	struct inode *inode;		/* what it names; NULL: nothing there */
	char name[NAME_MAX + 1];	/* may be `.`, `..` or empty (the root) */
};
/* `follow`: a final symbolic link too. Nothing at the end of the path is no error. */
long path_walk(struct inode *from, const char *path, bool follow, struct lookup *found);	/* kernel's path */
long path_lookup(int at, const char *path, bool follow, struct lookup *found);		/* application's path */
/* The inode of an application's path, which must exist; without a path, of descriptor `at`. */
long inode_at(int at, const char *path, u32 flags, struct inode **inode);

extern struct inode *root;
struct inode *inode_parent(struct inode *directory);
struct inode *inode_find(struct inode *directory, const char *name);
/* Gives the name, and takes an older one away. The name is a reference. */
long inode_link(struct inode *directory, const char *name, struct inode *inode);
void inode_unlink(struct inode *inode);
/* Makes a file, directory ... `name` in a directory; its only reference is the name's. -EEXIST, -ENOSPC ... */
long inode_make(struct lookup *at, u32 mode, struct inode **result);
long symlink_make(struct lookup *at, const char *target, size_t length);
long inode_truncate(struct inode *inode, u64 size);	/* fs/content.c */
void content_free(struct inode *inode);

#if CONFIG_DISK
/* fs/mount.c */
long mount_find(struct lookup *at);		/* what the name is in the directory; NULL: nothing */
bool is_mounted(const struct inode *inode);	/* the root of a disk's file system */
#else
#define is_mounted(inode) false
#endif
/* fs/ext2-*.c: the same for what is on a disk. */
bool ext2_writable(const struct inode *inode);
long ext2_make(struct lookup *at, u32 mode, struct inode **result);
long ext2_symlink(struct lookup *at, const char *target, size_t length);
long ext2_unlink(struct lookup *at);
long ext2_rename(struct lookup *old, struct lookup *new);
long ext2_truncate(struct inode *inode, u64 size);
long ext2_changed(struct inode *inode);		/* mode or modified: to be stored */
void ext2_stat(struct inode *inode, struct stat *stat);
long ext2_getdents(struct file *directory, void *to, size_t size);
void ext2_unref(struct inode *inode);		/* nobody uses it */

/* Takes the reference, in failure too; the file is NULL if there was no memory. -ENFILE, -EMFILE. */
int descriptor_install(struct file *file, int from, bool close_on_exec);
void tty_init(void);

/* Readiness. poll and select wait here for any file; a file that becomes ready wakes its own queue and this. */
extern struct wait_queue poll_waiters;
#if CONFIG_NET
void epoll_notify(struct wait_queue *queue);	/* fs/epoll.c */
void epoll_forget(struct file *file);		/* it is being closed */
#endif
static inline void file_wake(struct wait_queue *queue)
{
#if CONFIG_NET
	if (!list_empty(&queue->watchers))
		epoll_notify(queue);
#endif
	if (!list_empty(&queue->waiters))
		wake_all(queue);
	if (!list_empty(&poll_waiters.waiters))
		wake_all(&poll_waiters);
}

/*
 * A wait in a read or write: the signal that ended it decides whether the call begins again (SA_RESTART) or
 * gives EINTR.
 */
static inline long restart_if_interrupted(long result) { return result == -EINTR ? -ERESTARTSYS : result; }

#endif
