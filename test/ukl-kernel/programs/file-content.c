/* Bytes of regular files: positions, holes, truncation, appending, vectors, files without a name. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "check-calls.h"

static char buffer[20000];

static unsigned sum(int fd)
{
	unsigned total = 0;
	ssize_t n;
	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, buffer, 777)) > 0)
		for (ssize_t i = 0; i < n; i++)
			total = total * 31 + (unsigned char)buffer[i];
	return total;
}

int main(void)
{
	struct stat st;
	int fd, other;

	check_directory();
	IS((fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0644)) >= 0, 1);
	FAILS(open("a", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = i * 7 + i / 256;
	IS(write(fd, buffer, sizeof(buffer)), sizeof(buffer));
	printf("sum %u\n", sum(fd));
	IS(lseek(fd, -100, SEEK_END), 19900);
	IS(read(fd, buffer, 1000), 100);
	IS(read(fd, buffer, 1000), 0);
	FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
	FAILS(lseek(fd, 0, 99), EINVAL);
	IS(pwrite(fd, "hello", 5, 4094), 5);
	IS(pread(fd, buffer, 9, 4092), 9);
	IS(memcmp(buffer + 2, "hello", 5), 0);
	IS(lseek(fd, 0, SEEK_CUR), 20000);
	FAILS(pread(fd, buffer, 1, -1), EINVAL);

	/* A hole of 5 MB, and one of 1 GB. */
	IS(pwrite(fd, "x", 1, 5000000), 1);
	IS(pread(fd, buffer, 4096, 4000000), 4096);
	for (int i = 0; i < 4096; i++)
		if (buffer[i])
			printf("WRONG byte in the hole\n");
	IS(pwrite(fd, "y", 1, 1000000000), 1);
	IS(fstat(fd, &st), 0);
	IS(st.st_size, 1000000001);
	IS(pread(fd, buffer, 2, 1000000000), 1);
	IS(buffer[0], 'y');
	IS(ftruncate(fd, 4097), 0);
	IS(ftruncate(fd, 8192), 0);
	IS(pread(fd, buffer, 8192, 0), 8192);
	IS(buffer[4096], 'l');
	IS(buffer[4097], 0);
	IS(buffer[8191], 0);
	printf("sum %u\n", sum(fd));
	FAILS(ftruncate(fd, -1), EINVAL);
	IS(ftruncate(fd, 0), 0);
	IS(read(fd, buffer, 10), 0);

	/* O_APPEND writes at the end wherever the position is; O_TRUNC empties. */
	IS((other = open("a", O_WRONLY | O_APPEND)) >= 0, 1);
	IS(write(other, "one ", 4), 4);
	IS(pwrite(fd, "zero", 4, 0), 4);
	IS(write(other, "two", 3), 3);
	IS(lseek(other, 0, SEEK_CUR), 7);
	memset(buffer, 0, 16);
	IS(pread(fd, buffer, 16, 0), 7);
	printf("[%s]\n", buffer);
	FAILS(read(other, buffer, 1), EBADF);
	IS(close(other), 0);
	FAILS(write(other, buffer, 1), EBADF);
	IS((other = open("a", O_RDONLY)) >= 0, 1);
	FAILS(write(other, buffer, 1), EBADF);
	FAILS(ftruncate(other, 1), EINVAL);
	close(other);
	close(open("a", O_WRONLY | O_TRUNC));
	IS(fstat(fd, &st), 0);
	IS(st.st_size, 0);

	char first[3], second[10] = { 0 };
	struct iovec out[3] = { { "abc", 3 }, { "", 0 }, { "defgh", 5 } };
	struct iovec in[2] = { { first, 3 }, { second, 10 } };
	IS(lseek(fd, 0, SEEK_SET), 0);
	IS(writev(fd, out, 3), 8);
	IS(lseek(fd, 0, SEEK_SET), 0);
	IS(readv(fd, in, 2), 8);
	printf("%.3s %s\n", first, second);
	FAILS(readv(fd, in, -1), EINVAL);

	/* A page that is not there: EFAULT, and what came before it counts. */
	FAILS(write(fd, (void *)16, 10), EFAULT);
	lseek(fd, 0, SEEK_SET);
	FAILS(read(fd, (void *)16, 4), EFAULT);

	/* The file lives on without a name. */
	IS(unlink("a"), 0);
	FAILS(open("a", O_RDONLY), ENOENT);
	IS(fstat(fd, &st), 0);
	IS(st.st_nlink, 0);
	IS(pread(fd, buffer, 8, 0), 8);
	IS(close(fd), 0);
	FAILS(close(fd), EBADF);

	FAILS(open(".", O_WRONLY), EISDIR);
	FAILS(open(".", O_RDWR | O_CREAT, 0600), EISDIR);
	IS((fd = open(".", O_RDONLY | O_DIRECTORY)) >= 0, 1);
	FAILS(read(fd, buffer, 1), EISDIR);
	close(fd);
	close(creat("b", 0600));
	FAILS(open("b", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open("b/", O_RDONLY), ENOTDIR);
	FAILS(open("b/c", O_RDONLY), ENOTDIR);
	FAILS(open("", O_RDONLY), ENOENT);
	unlink("b");
	return check_end();
}
