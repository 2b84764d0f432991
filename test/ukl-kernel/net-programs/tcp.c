/* TCP over the loopback: names, connecting, both directions, ends, options, errors. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include "../programs/check-calls.h"

static volatile int pipe_signals;
static void on_pipe(int signal) { (void)signal; pipe_signals++; }

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ AF_INET, htons(port), { htonl(INADDR_LOOPBACK) }, { 0 } };
}

static int port_of(int fd)
{
	struct sockaddr_in name;
	socklen_t size = sizeof(name);
	getsockname(fd, (void *)&name, &size);
	return ntohs(name.sin_port);
}

static int events(int fd, int wanted)
{
	struct pollfd p = { .fd = fd, .events = wanted };
	return poll(&p, 1, 1000) < 0 ? -1 : p.revents;
}

static int listener(int backlog)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in name = loopback(0);
	bind(fd, (void *)&name, sizeof(name));
	listen(fd, backlog);
	return fd;
}

static void pair(int s[2])
{
	int l = listener(5);
	struct sockaddr_in name = loopback(port_of(l));
	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(s[0], (void *)&name, sizeof(name)))
		printf("WRONG connect\n");
	s[1] = accept(l, NULL, NULL);
	close(l);
}

static void names(void)
{
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), other, one = 1, value = 5, ends[2];
	struct sockaddr_in name = loopback(0), peer;
	socklen_t size = sizeof(peer);

	IS(fcntl(l, F_GETFD), FD_CLOEXEC);
	FAILS(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	FAILS(socket(AF_INET, 77, 0), EINVAL);
	FAILS(listen(99, 5), EBADF);
	IS(pipe(ends), 0);
	FAILS(bind(ends[0], (void *)&name, sizeof(name)), ENOTSOCK);
	FAILS(bind(l, (void *)&name, 4), EINVAL);
	FAILS(accept(l, NULL, NULL), EINVAL);
	IS(bind(l, (void *)&name, sizeof(name)), 0);
	FAILS(bind(l, (void *)&name, sizeof(name)), EINVAL);
	IS(listen(l, 5), 0);
	IS(getsockname(l, (void *)&peer, &size), 0);
	IS(size, sizeof(peer));
	IS(peer.sin_family, AF_INET);
	IS(peer.sin_port != 0, 1);
	IS(peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK), 1);
	FAILS(getpeername(l, (void *)&peer, &size), ENOTCONN);
	size = sizeof(value);
	IS(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &value, &size), 0);
	IS(value, 1);
	IS(getsockopt(l, SOL_SOCKET, SO_TYPE, &value, &size), 0);
	IS(value, SOCK_STREAM);
	IS(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	FAILS(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, 2), EINVAL);
	FAILS(setsockopt(l, SOL_SOCKET, 9999, &one, sizeof(one)), ENOPROTOOPT);

	other = socket(AF_INET, SOCK_STREAM, 0);
	name = loopback(port_of(l));
	FAILS(bind(other, (void *)&name, sizeof(name)), EADDRINUSE);
	name.sin_addr.s_addr = htonl(0xcb007101);
	FAILS(bind(other, (void *)&name, sizeof(name)), EADDRNOTAVAIL);
	close(other);
	name = loopback(port_of(l));
	close(l);
	other = socket(AF_INET, SOCK_STREAM, 0);
	FAILS(connect(other, (void *)&name, sizeof(name)), ECONNREFUSED);
	FAILS(send(other, "x", 1, MSG_NOSIGNAL), EPIPE);
	FAILS(shutdown(other, SHUT_WR), ENOTCONN);
	close(other);
}

static void blocking(void)
{
	int l = listener(5), one = 1, value = 0;
	struct sockaddr_in name = loopback(port_of(l)), peer;
	socklen_t size = sizeof(peer), length = sizeof(value);
	char text[64] = { 0 };
	int c = socket(AF_INET, SOCK_STREAM, 0), s;

	FAILS(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
	FAILS(recv(c, text, 1, 0), ENOTCONN);
	IS(connect(c, (void *)&name, sizeof(name)), 0);
	FAILS(connect(c, (void *)&name, sizeof(name)), EISCONN);
	IS((s = accept4(l, (void *)&peer, &size, SOCK_CLOEXEC)) >= 0, 1);
	IS(ntohs(peer.sin_port) == port_of(c), 1);
	IS(fcntl(s, F_GETFD), FD_CLOEXEC);
	IS(getpeername(c, (void *)&peer, &size), 0);
	IS(ntohs(peer.sin_port) == port_of(l), 1);
	IS(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	IS(getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
	IS(value, 1);

	IS(events(c, POLLIN | POLLOUT), POLLOUT);
	IS(write(c, "hello", 5), 5);
	IS(events(s, POLLIN), POLLIN);
	IS(ioctl(s, FIONREAD, &value), 0);
	IS(value, 5);
	IS(recv(s, text, 2, MSG_PEEK), 2);
	IS(recv(s, text, 64, 0), 5);
	printf("%s\n", text);
	FAILS(recv(s, text, 64, MSG_DONTWAIT), EAGAIN);
	struct iovec out[3] = { { "one ", 4 }, { "two ", 4 }, { "three", 5 } };
	struct iovec in[2] = { { text, 6 }, { text + 6, 50 } };
	IS(writev(s, out, 3), 13);
	IS(recv(c, text, 13, MSG_WAITALL | MSG_PEEK), 13);
	IS(readv(c, in, 2), 13);
	printf("%s\n", text);
	struct msghdr message = { .msg_iov = out, .msg_iovlen = 3 };
	IS(sendmsg(c, &message, 0), 13);
	message = (struct msghdr){ .msg_iov = in, .msg_iovlen = 2 };
	IS(recvmsg(s, &message, 0), 13);
	FAILS(send(s, (void *)8, 4, 0), EFAULT);

	/* Half-close: the other direction goes on. */
	IS(shutdown(c, SHUT_WR), 0);
	IS(events(s, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
	IS(read(s, text, 64), 0);
	IS(write(s, "late", 4), 4);
	IS(read(c, text, 64), 4);
	FAILS(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
	IS(pipe_signals, 0);
	FAILS(send(c, "x", 1, 0), EPIPE);
	IS(pipe_signals, 1);
	close(s);
	IS(read(c, text, 64), 0);
	close(c);
	close(l);
}

static void non_blocking(void)
{
	int l = listener(5), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), value, s, one = 1;
	struct sockaddr_in name = loopback(port_of(l));
	socklen_t length = sizeof(value);
	char text[8];

	IS(ioctl(l, FIONBIO, &one), 0);
	FAILS(accept(l, NULL, NULL), EAGAIN);
	FAILS(connect(c, (void *)&name, sizeof(name)), EINPROGRESS);
	IS(events(c, POLLOUT), POLLOUT);
	IS(getsockopt(c, SOL_SOCKET, SO_ERROR, &value, &length), 0);
	IS(value, 0);
	IS(events(l, POLLIN), POLLIN);
	IS((s = accept(l, NULL, NULL)) >= 0, 1);
	FAILS(read(c, text, 8), EAGAIN);
	close(s);
	close(c);
	name = loopback(port_of(l));
	close(l);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FAILS(connect(c, (void *)&name, sizeof(name)), EINPROGRESS);
	IS(events(c, POLLOUT) & POLLERR, POLLERR);
	IS(getsockopt(c, SOL_SOCKET, SO_ERROR, &value, &length), 0);
	IS(value, ECONNREFUSED);
	close(c);
}

static void resets(void)
{
	int s[2], value;
	char text[8];
	struct linger linger = { 1, 0 };
	socklen_t length = sizeof(value);

	pair(s);
	IS(write(s[0], "unread", 6), 6);
	IS(events(s[1], POLLIN), POLLIN);
	close(s[1]);
	IS(events(s[0], POLLIN) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
	FAILS(read(s[0], text, 8), ECONNRESET);
	IS(read(s[0], text, 8), 0);
	FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(s[0]);

	pair(s);
	IS(setsockopt(s[1], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(s[1]);
	IS(events(s[0], POLLIN) & POLLERR, POLLERR);
	IS(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &value, &length), 0);
	IS(value, ECONNRESET);
	close(s[0]);

	/* The peer has closed: the first write finds out, the second knows. */
	pair(s);
	close(s[1]);
	IS(read(s[0], text, 8), 0);
	IS(send(s[0], "x", 1, MSG_NOSIGNAL), 1);
	IS(events(s[0], 0) & POLLHUP, POLLHUP);
	FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(s[0]);
}

static void limits(void)
{
	int s[2];
	char text[8];
	struct timeval limit = { 0, 50000 }, told;
	socklen_t length = sizeof(told);

	pair(s);
	IS(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	IS(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &told, &length), 0);
	IS(told.tv_sec, 0);
	FAILS(read(s[0], text, 8), EAGAIN);
	close(s[0]);
	close(s[1]);
}

/* More than all buffers hold, with a checksum, in odd pieces; the writer has to wait for the reader. */
enum { TOTAL = 2 << 20 };
static unsigned next(unsigned *state) { return *state = *state * 1664525 + 1013904223; }

static void *writer(void *argument)
{
	static unsigned char buffer[70001];
	unsigned seed = 7, sizes = 9;
	int fd = *(int *)argument, sent = 0;
	while (sent < TOTAL) {
		int size = 1 + next(&sizes) % sizeof(buffer), done = 0;
		size = size < TOTAL - sent ? size : TOTAL - sent;
		for (int i = 0; i < size; i++)
			buffer[i] = next(&seed) >> 24;
		while (done < size)
			done += send(fd, buffer + done, size - done, 0);
		sent += size;
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

static void bulk(void)
{
	static unsigned char buffer[33333];
	int s[2], total = 0, wrong = 0;
	unsigned seed = 7;
	pthread_t thread;

	pair(s);
	pthread_create(&thread, NULL, writer, &s[0]);
	for (int got; (got = read(s[1], buffer, sizeof(buffer))) > 0; total += got) {
		for (int i = 0; i < got; i++)
			wrong += buffer[i] != next(&seed) >> 24;
		if (total < 300000) {		/* a slow reader closes the window */
			struct timespec pause = { 0, 15000000 };
			nanosleep(&pause, NULL);
		}
	}
	pthread_join(thread, NULL);
	IS(total, TOTAL);
	IS(wrong, 0);
	close(s[0]);
	close(s[1]);
}

/* Connections one after the other, and many at once. */
static void many(void)
{
	enum { AT_ONCE = 100 };
	int l = listener(128), c[AT_ONCE], s[AT_ONCE], good = 0;
	struct sockaddr_in name = loopback(port_of(l));
	char text[8];

	for (int i = 0; i < AT_ONCE; i++) {
		c[i] = socket(AF_INET, SOCK_STREAM, 0);
		good += connect(c[i], (void *)&name, sizeof(name)) == 0;
		s[i] = accept(l, NULL, NULL);
	}
	IS(good, AT_ONCE);
	good = 0;
	for (int i = 0; i < AT_ONCE; i++) {
		text[0] = i;
		good += write(c[i], text, 1) == 1;
	}
	for (int i = AT_ONCE - 1; i >= 0; i--)
		good += read(s[i], text, 8) == 1 && text[0] == i;
	IS(good, 2 * AT_ONCE);
	for (int i = 0; i < AT_ONCE; i++) {
		close(c[i]);
		close(s[i]);
	}
	good = 0;
	for (int i = 0; i < 300; i++) {
		int a = socket(AF_INET, SOCK_STREAM, 0), b;
		good += connect(a, (void *)&name, sizeof(name)) == 0;
		b = accept(l, NULL, NULL);
		good += write(a, "ab", 2) == 2 && read(b, text, 8) == 2;
		close(a);
		good += read(b, text, 8) == 0;
		close(b);
	}
	IS(good, 900);
	close(l);
}

int main(void)
{
	signal(SIGPIPE, on_pipe);
	names();
	blocking();
	non_blocking();
	resets();
	limits();
	bulk();
	many();
	return check_end();
}
