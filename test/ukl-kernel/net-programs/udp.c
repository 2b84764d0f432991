/* Datagrams over the loopback. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "../programs/check-calls.h"

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ AF_INET, htons(port), { htonl(INADDR_LOOPBACK) }, { 0 } };
}

static struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in name;
	socklen_t size = sizeof(name);
	getsockname(fd, (void *)&name, &size);
	return name;
}

static int events(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

int main(void)
{
	static char big[60000], back[65536];
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), c, value;
	struct sockaddr_in any = loopback(0), to, from;
	socklen_t size = sizeof(from);
	char text[32] = { 0 };

	FAILS(send(a, "x", 1, 0), EDESTADDRREQ);
	FAILS(recv(a, text, 1, MSG_DONTWAIT), EAGAIN);
	FAILS(listen(a, 1), EOPNOTSUPP);
	FAILS(shutdown(a, SHUT_RD), ENOTCONN);
	IS(bind(b, (void *)&any, sizeof(any)), 0);
	to = name_of(b);
	IS(events(b), POLLOUT);
	IS(sendto(a, "first", 5, 0, (void *)&to, sizeof(to)), 5);
	IS(sendto(a, "", 0, 0, (void *)&to, sizeof(to)), 0);
	IS(sendto(a, "second one", 10, 0, (void *)&to, sizeof(to)), 10);
	IS(events(b), POLLIN | POLLOUT);
	IS(ioctl(b, FIONREAD, &value), 0);
	IS(value, 5);
	IS(recv(b, text, 3, MSG_PEEK), 3);
	IS(recvfrom(b, text, 32, 0, (void *)&from, &size), 5);
	IS(size, sizeof(from));
	IS(from.sin_port == name_of(a).sin_port, 1);
	IS(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK), 1);
	IS(recv(b, text, 32, 0), 0);
	struct iovec in[2] = { { text, 3 }, { text + 3, 4 } };
	struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = in, .msg_iovlen = 2 };
	IS(recvmsg(b, &message, 0), 7);
	IS(message.msg_flags, MSG_TRUNC);
	IS(message.msg_namelen, sizeof(from));
	printf("%.7s\n", text);
	FAILS(recv(b, text, 32, MSG_DONTWAIT), EAGAIN);

	/* Several vectors are one datagram. */
	struct iovec out[2] = { { "two ", 4 }, { "parts", 5 } };
	message = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = out, .msg_iovlen = 2 };
	IS(sendmsg(a, &message, 0), 9);
	IS(recv(b, text, 32, MSG_TRUNC), 9);
	IS(connect(a, (void *)&to, sizeof(to)), 0);
	IS(writev(a, out, 2), 9);
	IS(read(b, text, 4), 4);
	FAILS(recv(b, text, 32, MSG_DONTWAIT), EAGAIN);

	/* A connected socket hears its peer alone, and of its absence. */
	c = socket(AF_INET, SOCK_DGRAM, 0);
	from = name_of(a);
	IS(sendto(c, "stranger", 8, 0, (void *)&from, sizeof(from)), 8);
	IS(sendto(b, "peer", 4, 0, (void *)&from, sizeof(from)), 4);
	IS(recv(a, text, 32, 0), 4);
	FAILS(recv(a, text, 32, MSG_DONTWAIT), EAGAIN);
	close(b);
	IS(send(a, "nobody", 6, 0), 6);
	FAILS(recv(a, text, 32, 0), ECONNREFUSED);
	to.sin_family = AF_UNSPEC;
	IS(connect(a, (void *)&to, sizeof(to)), 0);
	FAILS(send(a, "x", 1, 0), EDESTADDRREQ);

	/* Large ones, and one that is too large. */
	from = name_of(a);
	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = i % 251;
	IS(sendto(c, big, sizeof(big), 0, (void *)&from, sizeof(from)), sizeof(big));
	IS(recv(a, back, sizeof(back), 0), sizeof(big));
	IS(memcmp(big, back, sizeof(big)), 0);
	FAILS(sendto(c, back, 65530, 0, (void *)&from, sizeof(from)), EMSGSIZE);

	/* Two sockets cannot have a port, but with SO_REUSEADDR. */
	from = name_of(a);
	b = socket(AF_INET, SOCK_DGRAM, 0);
	FAILS(bind(b, (void *)&from, sizeof(from)), EADDRINUSE);
	close(a);
	IS(bind(b, (void *)&from, sizeof(from)), 0);
	close(b);
	close(c);
	return check_end();
}
