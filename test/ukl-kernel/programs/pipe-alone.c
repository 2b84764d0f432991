/* Pipes within one process: capacity, order, ends, readiness. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "check-calls.h"

static char big[70000];
static volatile int pipe_signals;
static void on_pipe(int signal) { (void)signal; pipe_signals++; }

static int events(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

int main(void)
{
	int p[2], q[2];
	char text[100] = { 0 };
	struct stat st;

	IS(pipe(p), 0);
	IS(events(p[0]), 0);
	IS(events(p[1]), POLLOUT);
	IS(write(p[1], "hello", 5), 5);
	IS(events(p[0]), POLLIN);
	IS(read(p[0], text, 2), 2);
	IS(read(p[0], text + 2, 90), 3);
	printf("%s\n", text);
	FAILS(lseek(p[0], 0, SEEK_SET), ESPIPE);
	FAILS(pread(p[0], text, 1, 0), ESPIPE);
	FAILS(write(p[0], "x", 1), EBADF);
	FAILS(read(p[1], text, 1), EBADF);
	IS(fstat(p[0], &st), 0);
	IS(S_ISFIFO(st.st_mode), 1);
	FAILS(write(p[1], (void *)8, 1), EFAULT);
	IS(write(p[1], "", 0), 0);

	/* 64 KiB fit; then less than PIPE_BUF room takes nothing of a write of PIPE_BUF. */
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	FAILS(read(p[0], text, 1), EAGAIN);
	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = i % 251;
	IS(write(p[1], big, sizeof(big)), 65536);
	FAILS(write(p[1], big, 1), EAGAIN);
	IS(events(p[1]), 0);
	memset(big, 0, sizeof(big));
	IS(read(p[0], big, 4096), 4096);
	IS(write(p[1], "0123456789", 10), 10);
	FAILS(write(p[1], big, 4096), EAGAIN);
	IS(read(p[0], big + 4096, 65536), 61450);
	for (unsigned i = 0; i < 65536; i++)
		if ((unsigned char)big[i] != i % 251) {
			printf("WRONG byte %u\n", i);
			break;
		}
	printf("%.10s\n", big + 65536);

	/* Vectors: a read returns what there is. */
	struct iovec out[2] = { { "ab", 2 }, { "cdef", 4 } };
	char first[2], second[50];
	struct iovec in[2] = { { first, 2 }, { second, 50 } };
	IS(writev(p[1], out, 2), 6);
	IS(readv(p[0], in, 2), 6);
	IS(write(p[1], "xy", 2), 2);
	fcntl(p[0], F_SETFL, 0);
	IS(readv(p[0], in, 2), 2);

	/* The ends. */
	IS(write(p[1], "last", 4), 4);
	close(p[1]);
	IS(events(p[0]), POLLIN | POLLHUP);
	IS(read(p[0], text, 100), 4);
	IS(read(p[0], text, 100), 0);
	IS(events(p[0]), POLLHUP);
	close(p[0]);
	signal(SIGPIPE, on_pipe);
	IS(pipe2(q, O_CLOEXEC | O_NONBLOCK), 0);
	IS(fcntl(q[0], F_GETFD), FD_CLOEXEC);
	IS(fcntl(q[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	close(q[0]);
	IS(events(q[1]), POLLOUT | POLLERR);
	FAILS(write(q[1], "x", 1), EPIPE);
	IS(pipe_signals, 1);
	FAILS(pipe2(q, 1), EINVAL);
	int *volatile nowhere = (int *)8;
	FAILS(pipe(nowhere), EFAULT);
	return check_end();
}
