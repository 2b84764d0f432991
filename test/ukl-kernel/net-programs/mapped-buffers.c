/* Two threads write to one connection, one of them from a file on a disk that is read while it writes. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAPPED = 65536, OWN = 50000 };

static int writer, reader;
static char *mapped;
static volatile int begun;

static void connect_both(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	bind(listener, (struct sockaddr *)&address, size);
	listen(listener, 1);
	getsockname(listener, (struct sockaddr *)&address, &size);
	writer = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(writer, (struct sockaddr *)&address, size))
		perror("connect");
	reader = accept(listener, NULL, NULL);
}

static void *write_mapped(void *unused)
{
	begun = 1;
	printf("from the file: %zd\n", write(writer, mapped, MAPPED));
	return unused;
}

int main(void)
{
	static char own[OWN], bytes[4096];
	long own_count = 0, in_order = 0;
	ssize_t size;
	pthread_t thread;
	int file = open("/tmp/data", O_RDONLY);
	mapped = mmap(NULL, MAPPED, PROT_READ, MAP_PRIVATE, file, 0);
	if (mapped == MAP_FAILED)
		perror("mmap");
	memset(own, '-', sizeof(own));
	connect_both();
	pthread_create(&thread, NULL, write_mapped, NULL);
	while (!begun)
		sched_yield();
	printf("from memory: %zd\n", write(writer, own, sizeof(own)));
	pthread_join(thread, NULL);
	shutdown(writer, SHUT_WR);
	while ((size = read(reader, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < size; i++)
			if (bytes[i] == '-')
				own_count++;
			else if (in_order < MAPPED && bytes[i] == mapped[in_order])
				in_order++;
	printf("in order: %ld, from memory: %ld\n", in_order, own_count);
	return 0;
}
