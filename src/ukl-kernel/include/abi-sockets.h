/* What sockets and epoll add to the system-call interface (CONFIG_NET). */
#ifndef ABI_SOCKETS_H
#define ABI_SOCKETS_H

#include "abi.h"

/* Internet sockets (include/uapi/linux/{socket,in,tcp}.h, include/uapi/asm-generic/socket.h, linux/eventpoll.h). */
enum { AF_UNSPEC = 0, AF_INET = 2, SOCK_DGRAM = 2, SOCKET_TYPE = 0xf, SOMAXCONN = 4096 };
struct sockaddr_in { u16 family, port; u32 address; u8 zero[8]; };
struct msghdr {
	void *name;
	u32 name_size, pad;
	struct iovec *vectors;
	u64 count;
	void *control;
	u64 control_size;
	s32 flags;
};
enum { MSG_PEEK = 2, MSG_TRUNC = 0x20, MSG_WAITALL = 0x100, MSG_MORE = 0x8000 };
enum { SHUT_RD, SHUT_WR, SHUT_RDWR };
enum { SOL_IP = 0, SOL_SOCKET = 1, SOL_TCP = 6 };
enum {
	SO_REUSEADDR = 2, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE,
	SO_LINGER = 13, SO_REUSEPORT = 15, SO_RCVTIMEO = 20, SO_SNDTIMEO, SO_ACCEPTCONN = 30, SO_PROTOCOL = 38,
	SO_DOMAIN,
};
enum {
	TCP_NODELAY = 1, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_DEFER_ACCEPT = 9,
	TCP_QUICKACK = 12, TCP_FASTOPEN = 23,
};
enum { FIONBIO = 0x5421 };
struct linger { s32 on, seconds; };

struct epoll_event { u32 events; u64 data; } __attribute__((packed));
enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL, EPOLL_CTL_MOD };
#define EPOLLEXCLUSIVE	(1U << 28)
#define EPOLLONESHOT	(1U << 30)
#define EPOLLET		(1U << 31)

#endif
