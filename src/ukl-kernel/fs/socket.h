/* What fs/socket.c, socket-calls.c and socket-options.c tell each other. */
#ifndef FS_SOCKET_H
#define FS_SOCKET_H

#include "net/internal.h"

enum { VECTORS_FEW = 8 };
extern const struct file_operations inet_operations;
ssize_t inet_send_message(struct file *file, const struct iovec *vectors, u32 count, u32 flags,
			  const struct sockaddr_in *to);
ssize_t inet_receive_message(struct file *file, const struct iovec *vectors, u32 count, u32 flags,
			     struct sockaddr_in *from, s32 *result_flags);
long address_from_user(struct sockaddr_in *to, const void *user, u32 size);
/* As much as there is room for; *size then is the whole size. */
long address_to_user(void *user, u32 *user_size, u32 address, u16 port);

/*
 * Until the condition holds; `limit`: SO_RCVTIMEO or SO_SNDTIMEO. What came already is looked at first: then nobody
 * has to wake anybody.
 */
#define SOCKET_WAIT(queue, condition, limit)                                                            \
	({                                                                                              \
		network_poll();                                                                         \
		u64 limit_ = (limit);                                                                   \
		long wait_ = wait_event_until(queue, condition, limit_ ? time_now() + limit_ : 0);      \
		wait_ == -ETIMEDOUT ? -EAGAIN : restart_if_interrupted(wait_);                          \
	})

static inline struct socket *socket_of(const struct file *file) { return file->inode->socket; }
/*
 * The socket of a descriptor, with its file; -EBADF, -ENOTSOCK. Only until something waits, which a copy from the
 * application's memory may do too: another thread may close it meanwhile. So it is asked for again behind those.
 */
long socket_get(int descriptor, struct file **file, struct socket **socket);

#endif
