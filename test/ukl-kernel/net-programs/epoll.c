/* epoll: level, edge, once; pipes and sockets; what happens when files are closed. eventfd. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include "../programs/check-calls.h"

static int set;

static int control(int operation, int fd, unsigned events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	return epoll_ctl(set, operation, fd, &event);
}

/* The number of events; the first is *first. */
static int ready(struct epoll_event *first, int timeout)
{
	struct epoll_event events[8] = { { .events = 0 } };
	int count = epoll_wait(set, events, 8, timeout);
	*first = events[0];
	return count;
}

static void tcp_pair(int s[2])
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(name);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	bind(l, (void *)&name, sizeof(name));
	listen(l, 1);
	getsockname(l, (void *)&name, &size);
	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	connect(s[0], (void *)&name, sizeof(name));
	s[1] = accept(l, NULL, NULL);
	close(l);
}

static void errors(void)
{
	int file = open("/dev/null", O_RDONLY), p[2];
	struct epoll_event event;

	FAILS(epoll_create1(12345), EINVAL);
	FAILS(control(EPOLL_CTL_ADD, 99, EPOLLIN), EBADF);
	FAILS(control(EPOLL_CTL_ADD, set, EPOLLIN), EINVAL);
	FAILS(control(EPOLL_CTL_ADD, file, EPOLLIN), EPERM);
	IS(pipe(p), 0);
	FAILS(control(EPOLL_CTL_DEL, p[0], 0), ENOENT);
	FAILS(control(EPOLL_CTL_MOD, p[0], EPOLLIN), ENOENT);
	IS(control(EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
	FAILS(control(EPOLL_CTL_ADD, p[0], EPOLLIN), EEXIST);
	FAILS(epoll_wait(p[0], &event, 1, 0), EINVAL);
	FAILS(epoll_wait(set, &event, 0, 0), EINVAL);
	FAILS(epoll_wait(98, &event, 1, 0), EBADF);
	IS(epoll_wait(set, &event, 1, 20), 0);
	close(p[0]);
	close(p[1]);
	close(file);
	IS(epoll_wait(set, &event, 1, 0), 0);
}

static void triggers(int s[2])
{
	struct epoll_event e;
	char text[16];

	/* Level: as long as it holds. */
	IS(control(EPOLL_CTL_ADD, s[1], EPOLLIN), 0);
	IS(ready(&e, 0), 0);
	IS(write(s[0], "abc", 3), 3);
	IS(ready(&e, 1000), 1);
	IS(e.events, EPOLLIN);
	IS(e.data.fd == s[1], 1);
	IS(ready(&e, 0), 1);
	IS(read(s[1], text, 2), 2);
	IS(ready(&e, 0), 1);
	IS(read(s[1], text, 2), 1);
	IS(ready(&e, 0), 0);

	/* Edge: when something happens. */
	IS(control(EPOLL_CTL_MOD, s[1], EPOLLIN | EPOLLET), 0);
	IS(write(s[0], "abc", 3), 3);
	IS(ready(&e, 1000), 1);
	IS(ready(&e, 0), 0);
	IS(read(s[1], text, 1), 1);
	IS(ready(&e, 0), 0);
	IS(write(s[0], "d", 1), 1);
	IS(ready(&e, 1000), 1);
	IS(ready(&e, 0), 0);
	IS(control(EPOLL_CTL_MOD, s[1], EPOLLIN | EPOLLET), 0);
	IS(ready(&e, 0), 1);
	IS(read(s[1], text, 16), 3);

	/* Once. */
	IS(control(EPOLL_CTL_MOD, s[1], EPOLLIN | EPOLLONESHOT), 0);
	IS(write(s[0], "x", 1), 1);
	IS(ready(&e, 1000), 1);
	IS(ready(&e, 0), 0);
	IS(write(s[0], "y", 1), 1);
	IS(ready(&e, 0), 0);
	IS(control(EPOLL_CTL_MOD, s[1], EPOLLIN | EPOLLONESHOT), 0);
	IS(ready(&e, 1000), 1);
	IS(read(s[1], text, 16), 2);

	/* Writing. */
	IS(control(EPOLL_CTL_MOD, s[1], EPOLLOUT), 0);
	IS(ready(&e, 0), 1);
	IS(e.events, EPOLLOUT);
	IS(control(EPOLL_CTL_MOD, s[1], EPOLLIN | EPOLLRDHUP), 0);
	IS(ready(&e, 0), 0);
	IS(close(s[0]), 0);
	IS(ready(&e, 1000), 1);
	IS(e.events & (EPOLLIN | EPOLLRDHUP), EPOLLIN | EPOLLRDHUP);
	IS(close(s[1]), 0);
	IS(ready(&e, 0), 0);
}

/* A full socket is not writable, and is again when the peer reads. */
static void filling(void)
{
	static char buffer[65536];
	struct epoll_event e;
	int s[2];
	long sent = 0, got = 0, n;
	int error;

	tcp_pair(s);
	fcntl(s[0], F_SETFL, O_NONBLOCK);
	fcntl(s[1], F_SETFL, O_NONBLOCK);
	while ((n = write(s[0], buffer, sizeof(buffer))) > 0)
		sent += n;
	error = errno;
	IS(error, EAGAIN);
	IS(sent > 65536, 1);
	IS(control(EPOLL_CTL_ADD, s[0], EPOLLOUT | EPOLLET), 0);
	while (got < sent) {
		n = read(s[1], buffer, sizeof(buffer));
		if (n > 0)
			got += n;
		else
			usleep(1000);
	}
	IS(got == sent, 1);
	IS(ready(&e, 1000), 1);
	IS(e.events, EPOLLOUT);
	close(s[0]);
	close(s[1]);
}

static void *later(void *argument)
{
	struct timespec pause = { 0, 30000000 };
	nanosleep(&pause, NULL);
	if (write(*(int *)argument, "!", 1) != 1)
		printf("WRONG write\n");
	return NULL;
}

static void on_alarm(int signal) { (void)signal; }

static void waiting(void)
{
	struct epoll_event e;
	int p[2], copy;
	char text[4];
	pthread_t thread;
	struct sigaction action = { .sa_handler = on_alarm };

	IS(pipe(p), 0);
	IS(control(EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
	pthread_create(&thread, NULL, later, &p[1]);
	IS(ready(&e, -1), 1);
	IS(e.events, EPOLLIN);
	pthread_join(thread, NULL);
	IS(read(p[0], text, 4), 1);

	/* The file is in the set, not the descriptor. */
	IS((copy = dup(p[0])) >= 0, 1);
	close(p[0]);
	IS(write(p[1], "z", 1), 1);
	IS(ready(&e, 0), 1);
	close(copy);
	IS(ready(&e, 0), 0);
	close(p[1]);

	sigaction(SIGALRM, &action, NULL);
	ualarm(30000, 0);
	FAILS(ready(&e, 5000), EINTR);
}

static void counters(void)
{
	struct epoll_event e;
	unsigned long value = 5;
	int fd = eventfd(3, EFD_NONBLOCK);

	IS(control(EPOLL_CTL_ADD, fd, EPOLLIN), 0);
	IS(ready(&e, 0), 1);
	IS(write(fd, &value, 8), 8);
	IS(read(fd, &value, 8), 8);
	IS(value, 8);
	FAILS(read(fd, &value, 8), EAGAIN);
	FAILS(read(fd, &value, 4), EINVAL);
	IS(ready(&e, 0), 0);
	value = 0xfffffffffffffffe;
	IS(write(fd, &value, 8), 8);
	value = 1;
	FAILS(write(fd, &value, 8), EAGAIN);
	close(fd);
	fd = eventfd(2, EFD_SEMAPHORE);
	IS(read(fd, &value, 8), 8);
	IS(value, 1);
	IS(read(fd, &value, 8), 8);
	close(fd);
}

int main(void)
{
	int s[2];
	set = epoll_create1(EPOLL_CLOEXEC);
	IS(fcntl(set, F_GETFD), FD_CLOEXEC);
	errors();
	tcp_pair(s);
	triggers(s);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	triggers(s);
	filling();
	waiting();
	counters();
	close(set);
	return check_end();
}
