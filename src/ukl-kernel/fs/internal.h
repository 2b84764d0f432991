/* What the files of fs/ tell each other and nobody else. */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include "file.h"
#include "syscall.h"

/* File operations have the same parameters whether or not they need them. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* Hands on the error of a call that gives 0 or a negative errno. */
#define TRY(call) do { long error_ = (call); if (error_) return error_; } while (0)

extern const struct file_operations directory_operations, regular_operations, pipe_operations, path_operations;

struct inode *inode_root(void);				/* not referenced */
void content_free(struct inode *inode);
void pipe_free(struct pipe *pipe);
void socket_free(struct socket *socket);

/* Makes a file, directory ... `name` in a directory; its first reference is the name's. -EEXIST, -ENOSPC ... */
long inode_make(struct lookup *at, u32 mode, u64 device, struct inode **result);
long symlink_make(struct lookup *at, const char *target, size_t length);
void proc_init(void);
void tty_init(void);
extern const struct file_operations tty_operations;
/* readv and writev of a socket: one message, or as much of a stream as there is. */
ssize_t socket_transfer(struct file *file, const struct iovec *vectors, u64 count, u32 flags, bool sending);

static inline bool is_dot(const char *name)
{
	return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

/*
 * A wait in a read, write or open: the signal that ended it decides whether the call begins again (SA_RESTART)
 * or gives EINTR.
 */
static inline long restart_if_interrupted(long result) { return result == -EINTR ? -ERESTARTSYS : result; }

/* Bytes in a ring of page frames, which come with the first byte that needs them and stay: fs/ring.c. */
enum { RING_PAGES = 16 };
#define RING_SIZE (RING_PAGES * PAGE_SIZE)
struct ring { u32 start, used; u8 *pages[RING_PAGES]; };
static inline u32 ring_room(const struct ring *ring) { return RING_SIZE - ring->used; }
/* Copies in, `behind` bytes after the used ones; ring_commit makes them used. Bytes, -EFAULT or -ENOMEM. */
ssize_t ring_write(struct ring *ring, u32 behind, const void *buffer, size_t size);
/* Copies out, from `skip` bytes after the first used one; ring_drop removes them. Bytes or -EFAULT. */
ssize_t ring_read(struct ring *ring, u32 skip, void *buffer, size_t size);
static inline void ring_commit(struct ring *ring, u32 size) { ring->used += size; }
static inline void ring_drop(struct ring *ring, u32 size)
{
	ring->used -= size;
	/* An empty ring begins again in its first page: short messages stay in memory that is in the caches. */
	ring->start = ring->used ? (ring->start + size) % RING_SIZE : 0;
}
void ring_free(struct ring *ring);

#endif
