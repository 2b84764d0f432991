/*
 * What the servers have in common: one process, one epoll, clients with buffers in both directions. Plain POSIX and
 * epoll: it runs on Linux too. An application defines `client_serve` and calls server_run().
 */
#ifndef SERVER_H
#define SERVER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct buffer { char *bytes; size_t used, capacity; };

struct client {
	int fd;
	unsigned events;		/* that epoll waits for */
	struct buffer in, out;
	size_t taken;			/* of `in`, by the application */
	size_t sent;			/* of `out` */
	bool more;			/* the application would go on at once if there were room in `out` */
	bool closing;			/* after what is in `out` */
	void *state;			/* the application's */
};

enum {
	READ_PIECE = 16384,
	OUT_ENOUGH = 65536,		/* with so much in `out` an application stops until it is sent */
	EVENTS = 64,
};

/* Takes what it can from `in`, appends to `out`. */
static void client_serve(struct client *client);
/* The client is gone, with its state. */
static void client_end(struct client *client);
static size_t in_limit;			/* bytes of a client's input that wait; set by the application */

/* Markers: `ukl-emu measure` and others can count what lies between two of them, or how many there were. */
__attribute__((noinline)) void request_begin(void) { __asm__ volatile("" ::: "memory"); }
__attribute__((noinline)) void request_end(void) { __asm__ volatile("" ::: "memory"); }

/* Room for `size` more bytes; false: no memory. */
static bool buffer_reserve(struct buffer *buffer, size_t size)
{
	if (buffer->used + size <= buffer->capacity)
		return true;
	size_t capacity = buffer->capacity ? buffer->capacity : 1024;
	while (capacity < buffer->used + size)
		capacity *= 2;
	char *bytes = realloc(buffer->bytes, capacity);
	if (!bytes)
		return false;
	buffer->bytes = bytes;
	buffer->capacity = capacity;
	return true;
}

/* To the client; without memory for it, it is closed. */
static void put(struct client *client, const void *bytes, size_t size)
{
	if (!buffer_reserve(&client->out, size)) {
		client->closing = true;
		return;
	}
	if (size)
		memcpy(client->out.bytes + client->out.used, bytes, size);
	client->out.used += size;
}

static inline void put_text(struct client *client, const char *text) { put(client, text, strlen(text)); }
static inline char *input(struct client *client) { return client->in.bytes + client->taken; }
static inline size_t input_size(const struct client *client) { return client->in.used - client->taken; }

static void client_close(struct client *client)
{
	client_end(client);
	close(client->fd);
	free(client->in.bytes);
	free(client->out.bytes);
	free(client);
}

/* Sends what is in `out`. 1: all, 0: not all now, -1: the client is gone. */
static int client_flush(struct client *client)
{
	while (client->sent < client->out.used) {
		ssize_t sent = write(client->fd, client->out.bytes + client->sent, client->out.used - client->sent);
		if (sent < 0)
			return errno == EAGAIN ? 0 : errno == EINTR ? 1 : -1;
		client->sent += (size_t)sent;
	}
	client->sent = client->out.used = 0;
	return 1;
}

/* What was taken makes room; a large buffer that is empty goes back. */
static void client_tidy(struct client *client)
{
	struct buffer *in = &client->in;
	in->used -= client->taken;
	if (in->used && client->taken)
		memmove(in->bytes, in->bytes + client->taken, in->used);
	client->taken = 0;
	if (!in->used && in->capacity > 4 * READ_PIECE) {
		free(in->bytes);
		*in = (struct buffer){ 0 };
	}
	if (!client->out.used && client->out.capacity > 2 * OUT_ENOUGH) {
		free(client->out.bytes);
		client->out = (struct buffer){ 0 };
	}
}

/* 1: wants to read, 0: to write, -1: is to be closed. */
static int client_go_on(struct client *client)
{
	do {
		client->more = false;
		if (!client->closing)
			client_serve(client);
		int flushed = client_flush(client);
		if (flushed <= 0)
			return flushed;
		if (client->closing)
			return -1;
	} while (client->more);
	client_tidy(client);
	return 1;
}

static int client_event(struct client *client, unsigned events)
{
	if (events & EPOLLOUT || client->events == EPOLLOUT) {
		int flushed = client_flush(client);
		return flushed <= 0 ? flushed : client->closing ? -1 : client_go_on(client);
	}
	if (client->in.used >= in_limit || !buffer_reserve(&client->in, READ_PIECE))
		return -1;
	ssize_t got = read(client->fd, client->in.bytes + client->in.used, client->in.capacity - client->in.used);
	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR) ? 1 : -1;
	client->in.used += (size_t)got;
	return client_go_on(client);
}

static void accept_all(int set, int listener)
{
	int one = 1, fd;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct client *client = calloc(1, sizeof(*client));
		if (!client) {
			close(fd);
			return;
		}
		client->fd = fd;
		client->events = EPOLLIN;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
		if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event))
			client_close(client);
	}
}

/* Called before each round of events, with what epoll_wait told: the time may be looked at here. */
static void server_round(void);

/* Serves until epoll fails; 1: it could not begin. */
static int server_run(int port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	struct epoll_event events[EVENTS], event = { .events = EPOLLIN };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), set = epoll_create1(EPOLL_CLOEXEC);
	int one = 1, count;

	signal(SIGPIPE, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&name, sizeof(name)) || listen(listener, 1024) ||
	    epoll_ctl(set, EPOLL_CTL_ADD, listener, &event)) {
		perror("listening");
		return 1;
	}
	printf("listening on port %d\n", port);
	fflush(stdout);
	while ((count = epoll_wait(set, events, EVENTS, -1)) >= 0 || errno == EINTR) {
		server_round();
		for (int i = 0; i < count; i++) {
			struct client *client = events[i].data.ptr;
			if (!client) {
				accept_all(set, listener);
				continue;
			}
			int wants = client_event(client, events[i].events);
			unsigned next = wants ? EPOLLIN : EPOLLOUT;
			if (wants < 0) {
				client_close(client);
			} else if (next != client->events) {
				client->events = next;
				event = (struct epoll_event){ .events = next, .data.ptr = client };
				epoll_ctl(set, EPOLL_CTL_MOD, client->fd, &event);
			}
		}
	}
	perror("waiting");
	return 1;
}

#endif
