/* The calls that send and receive: buffers, vectors, messages. */
#include "fs/socket.h"

/* Copies the vectors of an application: a few into `few`, more into memory to be given to kfree(). */
static long vectors_from_user(const struct iovec *user, u64 count, struct iovec few[VECTORS_FEW], struct iovec **vectors)
{
	size_t total = 0;
	*vectors = few;
	if (count > IOV_MAX)
		return -EMSGSIZE;
	if (count > VECTORS_FEW && !(*vectors = kmalloc(count * sizeof(**vectors))))
		return -ENOBUFS;
	long error = copy_from_user(*vectors, user, count * sizeof(**vectors));
	for (u64 i = 0; i < count && !error; i++) {
		total += (*vectors)[i].size;
		if ((*vectors)[i].size > 0x7ffff000 || total > 0x7ffff000)
			error = -EINVAL;
	}
	if (error && *vectors != few)
		kfree(*vectors);
	return error;
}

ssize_t inet_vectors(struct file *file, const struct iovec *user, u64 count, bool sending)
{
	struct iovec few[VECTORS_FEW], *vectors;
	struct sockaddr_in from;
	s32 flags;
	file_ref(file);		/* another thread may close it while the vectors are copied */
	long error = vectors_from_user(user, count, few, &vectors);
	ssize_t result = error ?: sending ? inet_send_message(file, vectors, (u32)count, 0, NULL)
					  : inet_receive_message(file, vectors, (u32)count, 0, &from, &flags);
	file_unref(file);
	if (!error && vectors != few)
		kfree(vectors);
	return result;
}

ssize_t inet_send(struct file *file, const void *buffer, size_t size, u32 flags)
{
	struct iovec vector = { (void *)buffer, size };
	return inet_send_message(file, &vector, 1, flags, NULL);
}
ssize_t inet_receive(struct file *file, void *buffer, size_t size, u32 flags)
{
	struct iovec vector = { buffer, size };
	struct sockaddr_in from;
	s32 result_flags;
	return inet_receive_message(file, &vector, 1, flags, &from, &result_flags);
}

/* Pairs of Unix sockets have these two as well. */
long sys_sendto(int descriptor, const void *buffer, size_t size, u32 flags, const void *user, u32 address_size)
{
	struct file *file = file_get(descriptor);
	struct sockaddr_in to;
	if (!file)
		return -EBADF;
	if (!is_inet(file))
		return user ? -EISCONN : socket_send(file, buffer, size, flags);
	struct iovec vector = { (void *)buffer, size };
	bool named = user && !socket_of(file)->stream;
	if (named) {
		struct socket *s;
		TRY(address_from_user(&to, user, address_size));
		TRY(socket_get(descriptor, &file, &s));
	}
	return inet_send_message(file, &vector, 1, flags, named ? &to : NULL);
}

long sys_recvfrom(int descriptor, void *buffer, size_t size, u32 flags, void *user, u32 *address_size)
{
	struct file *file = file_get(descriptor);
	struct sockaddr_in from;
	s32 result_flags;
	if (!file)
		return -EBADF;
	if (!is_inet(file))
		return user ? -EOPNOTSUPP : socket_receive(file, buffer, size, flags);
	struct iovec vector = { buffer, size };
	bool stream = socket_of(file)->stream;
	ssize_t result = inet_receive_message(file, &vector, 1, flags, &from, &result_flags);
	if (result < 0 || !user)
		return result;
	long error = stream ? copy_to_user(address_size, &(u32){ 0 }, sizeof(u32))
			    : address_to_user(user, address_size, be32(from.address), be16(from.port));
	return error ?: result;
}

/* Without control data: what is sent of it is refused, none is received. */
long sys_sendmsg(int descriptor, const struct msghdr *user, u32 flags)
{
	struct file *file;
	struct socket *s;
	struct msghdr message;
	struct sockaddr_in to;
	struct iovec few[VECTORS_FEW], *vectors;
	TRY(socket_get(descriptor, &file, &s));
	TRY(copy_from_user(&message, user, sizeof(message)));
	if (message.control_size)
		return -EOPNOTSUPP;
	TRY(socket_get(descriptor, &file, &s));
	bool named = message.name && !s->stream;
	if (named)
		TRY(address_from_user(&to, message.name, message.name_size));
	TRY(vectors_from_user(message.vectors, message.count, few, &vectors));
	long error = socket_get(descriptor, &file, &s);
	ssize_t result = error ?: inet_send_message(file, vectors, (u32)message.count, flags, named ? &to : NULL);
	if (vectors != few)
		kfree(vectors);
	return result;
}

long sys_recvmsg(int descriptor, struct msghdr *user, u32 flags)
{
	struct file *file;
	struct socket *s;
	struct msghdr message;
	struct sockaddr_in from = {};
	struct iovec few[VECTORS_FEW], *vectors;
	TRY(socket_get(descriptor, &file, &s));
	TRY(copy_from_user(&message, user, sizeof(message)));
	TRY(vectors_from_user(message.vectors, message.count, few, &vectors));
	long error = socket_get(descriptor, &file, &s);
	bool stream = !error && s->stream;
	ssize_t result = error ?: inet_receive_message(file, vectors, (u32)message.count, flags, &from, &message.flags);
	if (vectors != few)
		kfree(vectors);
	if (result < 0)
		return result;
	if (message.name && !stream) {
		if (copy_to_user(message.name, &from, MIN(message.name_size, (u32)sizeof(from))))
			return -EFAULT;
		message.name_size = sizeof(from);
	} else {
		message.name_size = 0;
	}
	message.control_size = 0;
	return copy_to_user(user, &message, sizeof(message)) ? -EFAULT : result;
}
