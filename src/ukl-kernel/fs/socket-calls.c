/* The calls that make, name and connect sockets. */
#include "fs/socket.h"

long socket_get(int descriptor, struct file **file, struct socket **socket)
{
	*file = file_get(descriptor);
	if (!*file)
		return -EBADF;
	if (!is_inet(*file))
		return S_ISSOCK((*file)->inode->mode) ? -EOPNOTSUPP : -ENOTSOCK;
	*socket = socket_of(*file);
	return 0;
}

long address_from_user(struct sockaddr_in *to, const void *user, u32 size)
{
	if (size < sizeof(*to))
		return -EINVAL;
	TRY(copy_from_user(to, user, sizeof(*to)));
	return to->family == AF_INET ? 0 : -EAFNOSUPPORT;
}

long address_to_user(void *user, u32 *user_size, u32 address, u16 port)
{
	struct sockaddr_in from = { AF_INET, be16(port), be32(address), {} };
	u32 size;
	if (!user)
		return 0;
	TRY(copy_from_user(&size, user_size, sizeof(size)));
	if ((s32)size < 0)
		return -EINVAL;
	TRY(copy_to_user(user, &from, MIN(size, (u32)sizeof(from))));
	return copy_to_user(user_size, &(u32){ sizeof(from) }, sizeof(size));
}

/* Takes the socket in failure too. */
static long install(struct socket *socket, u32 type)
{
	struct inode *inode = inode_create(S_IFSOCK | 0777);
	struct file *file = NULL;
	socket->open = true;
	if (inode) {
		inode->operations = &inet_operations;
		inode->socket = socket;
		file = file_create(inode, O_RDWR | (type & SOCK_NONBLOCK));
		inode_unref(inode);
	}
	if (!file) {
		if (socket->stream)
			tcp_close(socket);
		else
			udp_close(socket);
		return -ENOBUFS;
	}
	return descriptor_install(file, 0, type & SOCK_CLOEXEC);
}

long sys_socket(u32 family, u32 type, u32 protocol)
{
	u32 kind = type & SOCKET_TYPE;
	if (type & ~(u32)(SOCKET_TYPE | SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	if (family != AF_INET)
		return -EAFNOSUPPORT;
	if (kind != SOCK_STREAM && kind != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol && protocol != (kind == SOCK_STREAM ? IP_TCP : IP_UDP))
		return -EPROTONOSUPPORT;
	struct socket *socket = socket_create(kind == SOCK_STREAM);
	return socket ? install(socket, type) : -ENOBUFS;
}

long sys_bind(int descriptor, const void *user, u32 size)
{
	struct file *file;
	struct socket *socket;
	struct sockaddr_in address;
	TRY(socket_get(descriptor, &file, &socket));
	TRY(address_from_user(&address, user, size));
	TRY(socket_get(descriptor, &file, &socket));
	if (socket->local_port)
		return -EINVAL;
	return socket_bind(socket, be32(address.address), be16(address.port));
}

long sys_listen(int descriptor, int backlog)
{
	struct file *file;
	struct socket *socket;
	TRY(socket_get(descriptor, &file, &socket));
	return socket->stream ? tcp_listen(socket, backlog < 0 ? SOMAXCONN : (u32)backlog) : -EOPNOTSUPP;
}

static bool descriptor_free(void)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (!file_get(i))
			return true;
	return false;
}

long sys_accept4(int descriptor, void *user, u32 *size, u32 flags)
{
	struct file *file;
	struct socket *listener, *socket = NULL;
	TRY(socket_get(descriptor, &file, &listener));
	if (!listener->stream)
		return -EOPNOTSUPP;
	if (listener->state != TCP_LISTEN || flags & ~(u32)(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	if (!descriptor_free())
		return -EMFILE;
	file_ref(file);		/* another thread may close it meanwhile */
	network_poll();
	long error = 0;
	while (!error && !(socket = tcp_accept(listener)))
		error = file->flags & O_NONBLOCK ? -EAGAIN : SOCKET_WAIT(&listener->can_read, !list_empty(&listener->accepting),
									  listener->receive_limit);
	file_unref(file);
	if (error)
		return error;
	u32 remote = socket->remote;
	u16 port = socket->remote_port;
	long result = install(socket, flags);
	error = result >= 0 ? address_to_user(user, size, remote, port) : 0;
	if (error)
		sys_close((int)result);
	return error ?: result;
}
long sys_accept(int descriptor, void *user, u32 *size) { return sys_accept4(descriptor, user, size, 0); }

static long stream_connect(struct file *file, struct socket *s, u32 address, u16 port)
{
	if (s->state == TCP_LISTEN || tcp_synchronized(s))
		return -EISCONN;
	if (s->state == TCP_CLOSED && s->error)
		return socket_error(s);		/* of the attempt before */
	bool begun = s->state != TCP_CLOSED;
	if (begun && file->flags & O_NONBLOCK)
		return -EALREADY;
	if (!begun)
		TRY(tcp_connect(s, address, port));
	network_settle();
	if (file->flags & O_NONBLOCK)
		return -EINPROGRESS;
	file_ref(file);
	long error = SOCKET_WAIT(&s->can_write, s->state != TCP_SYN_SENT && s->state != TCP_SYN_RECEIVED, s->send_limit);
	if (!error)
		error = tcp_synchronized(s) ? 0 : socket_error(s) ?: -ECONNREFUSED;
	file_unref(file);
	return error == -EAGAIN ? -EINPROGRESS : error;
}

/* A datagram socket's: where to send, and from whom to receive; AF_UNSPEC: neither. */
static long datagram_connect(struct socket *s, u32 address, u16 port)
{
	u32 source = s->local ?: ip_source(address);
	if (!source)
		return -ENETUNREACH;
	if (address == BROADCAST && !s->broadcast)
		return -EACCES;
	if (!s->local_port)
		TRY(socket_bind(s, ANY_ADDRESS, 0));
	s->local = source;
	s->remote = address;
	s->remote_port = port;
	return 0;
}

long sys_connect(int descriptor, const void *user, u32 size)
{
	struct file *file;
	struct socket *s;
	struct sockaddr_in address;
	TRY(socket_get(descriptor, &file, &s));
	if (size >= sizeof(address.family) && !s->stream) {
		TRY(copy_from_user(&address, user, sizeof(address.family)));
		TRY(socket_get(descriptor, &file, &s));
		if (address.family == AF_UNSPEC) {
			s->remote = s->remote_port = 0;
			return 0;
		}
	}
	TRY(address_from_user(&address, user, size));
	TRY(socket_get(descriptor, &file, &s));
	if (s->stream)
		return stream_connect(file, s, be32(address.address), be16(address.port));
	return datagram_connect(s, be32(address.address) ?: 0x7f000001, be16(address.port));
}

long sys_shutdown(int descriptor, u32 how)
{
	struct file *file;
	struct socket *s;
	TRY(socket_get(descriptor, &file, &s));
	if (how > SHUT_RDWR)
		return -EINVAL;
	if (s->stream ? !tcp_synchronized(s) && s->state != TCP_SYN_RECEIVED : !s->remote_port)
		return -ENOTCONN;
	if (how != SHUT_WR)
		s->read_shut = true;
	if (how != SHUT_RD && s->stream)
		tcp_shutdown_write(s);
	else if (how != SHUT_RD)
		s->write_shut = true;
	socket_wake(s);
	network_settle();
	return 0;
}

long sys_getsockname(int descriptor, void *user, u32 *size)
{
	struct file *file;
	struct socket *s;
	TRY(socket_get(descriptor, &file, &s));
	return address_to_user(user, size, s->local, s->local_port);
}

long sys_getpeername(int descriptor, void *user, u32 *size)
{
	struct file *file;
	struct socket *s;
	TRY(socket_get(descriptor, &file, &s));
	if (!s->remote_port || (s->stream && !tcp_synchronized(s)))
		return -ENOTCONN;
	return address_to_user(user, size, s->remote, s->remote_port);
}
