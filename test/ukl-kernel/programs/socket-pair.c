/* Pairs of Unix sockets: flags, vectors, the ends. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "check-calls.h"

static char big[9000], back[9000];
static volatile int pipe_signals;
static void on_pipe(int signal) { (void)signal; pipe_signals++; }

static int events(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void stream(void)
{
	int s[2];
	char text[100] = { 0 };
	struct stat st;

	IS(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	IS(fstat(s[0], &st), 0);
	IS(S_ISSOCK(st.st_mode), 1);
	IS(events(s[0]), POLLOUT);
	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = i % 249;
	for (int size = 1; size <= 8192; size *= 2) {
		IS(send(s[0], big, size, 0), size);
		memset(back, 1, sizeof(back));
		IS(recv(s[1], back, sizeof(back), 0), size);
		IS(memcmp(big, back, size), 0);
	}
	IS(write(s[1], "back", 4), 4);
	IS(events(s[0]), POLLIN | POLLOUT);
	IS(read(s[0], text, 2), 2);
	IS(read(s[0], text, 100), 2);
	FAILS(recv(s[0], text, 100, MSG_DONTWAIT), EAGAIN);
	IS(send(s[0], "one", 3, 0), 3);
	IS(send(s[0], "two", 3, 0), 3);
	IS(recv(s[1], text, 100, 0), 6);
	printf("%.6s\n", text);

	struct iovec out[2] = { { "head ", 5 }, { "body", 4 } };
	char first[5], second[20] = { 0 };
	struct iovec in[2] = { { first, 5 }, { second, 20 } };
	IS(writev(s[0], out, 2), 9);
	IS(readv(s[1], in, 2), 9);
	printf("%.5s%s\n", first, second);
	FAILS(send(s[0], (void *)8, 4, 0), EFAULT);
	FAILS(lseek(s[0], 0, SEEK_SET), ESPIPE);

	IS(send(s[0], "end", 3, 0), 3);
	close(s[0]);
	FAILS(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	IS(pipe_signals, 0);
	FAILS(send(s[1], "x", 1, 0), EPIPE);
	IS(pipe_signals, 1);
	IS(events(s[1]) & (POLLIN | POLLHUP), POLLIN | POLLHUP);
	IS(recv(s[1], text, 100, 0), 3);
	IS(recv(s[1], text, 100, 0), 0);
	close(s[1]);
}

static void flags(void)
{
	int s[2];
	char text[100];

	IS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
	IS(fcntl(s[0], F_GETFD), FD_CLOEXEC);
	IS(fcntl(s[1], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	FAILS(recv(s[1], text, 100, 0), EAGAIN);
	IS(sendto(s[0], "word", 4, 0, NULL, 0), 4);
	IS(recvfrom(s[1], text, 100, 0, NULL, NULL), 4);
	close(s[0]);
	FAILS(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(s[1]);
}

int main(void)
{
	int s[2];
	signal(SIGPIPE, on_pipe);
	stream();
	flags();
	FAILS(send(1000, "x", 1, 0), EBADF);
	IS(pipe(s), 0);
	FAILS(send(s[1], "x", 1, 0), ENOTSOCK);
	FAILS(socketpair(AF_UNIX, SOCK_RDM, 0, s), ESOCKTNOSUPPORT);
	return check_end();
}
