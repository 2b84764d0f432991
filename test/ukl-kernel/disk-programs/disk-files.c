/* Files that are large, that have several names, that are mapped; what is synced; many at once. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include "../programs/check-calls.h"

enum { MB = 1 << 20, PIECE = 1000 };

static char buffer[PIECE], back[PIECE];

/* Bytes that tell where they are. */
static void fill(char *to, long offset, int seed)
{
	for (int i = 0; i < PIECE; i++)
		to[i] = (offset + i) * 7 + (offset + i) / 251 + seed;
}

static int holds(int fd, long offset, int seed)
{
	char wanted[PIECE], found[PIECE];
	fill(wanted, offset, seed);
	return pread(fd, found, PIECE, offset) == PIECE && !memcmp(wanted, found, PIECE);
}

static int zeroes(int fd, long offset)
{
	char found[PIECE];
	int sum = 0;
	if (pread(fd, found, PIECE, offset) != PIECE)
		return 0;
	for (int i = 0; i < PIECE; i++)
		sum |= found[i];
	return sum == 0;
}

/* Direct blocks, and those of all three levels of pointers, whatever the block size. */
static const long offsets[] = { 0, 10000, 12 * 1024 - 500, 40000, 270000, 4L * MB, 66L * MB, 300L * MB, 5000L * MB };
enum { OFFSETS = sizeof(offsets) / sizeof(*offsets) };

static void sparse(void)
{
	struct stat st;
	int fd, good = 0;
	IS((fd = open("sparse", O_RDWR | O_CREAT, 0644)) >= 0, 1);
	for (int i = OFFSETS - 1; i >= 0; i--) {
		fill(buffer, offsets[i], 1);
		good += pwrite(fd, buffer, PIECE, offsets[i]) == PIECE;
	}
	IS(good, OFFSETS);
	IS(fsync(fd), 0);
	good = 0;
	for (int i = 0; i < OFFSETS; i++)
		good += holds(fd, offsets[i], 1);
	IS(good, OFFSETS);
	IS(zeroes(fd, 3000000), 1);
	IS(zeroes(fd, 2000L * MB), 1);
	fstat(fd, &st);
	IS(st.st_size, offsets[OFFSETS - 1] + PIECE);
	IS(st.st_blocks * 512 < MB, 1);
	/* Shorter by a level at a time; then longer again: the rest reads as zeroes. */
	for (int i = OFFSETS - 1; i > 0; i--) {
		if (ftruncate(fd, offsets[i] + 10) || !holds(fd, offsets[i - 1], 1) ||
		    ftruncate(fd, offsets[i] + PIECE) || pread(fd, back, PIECE, offsets[i]) != PIECE || back[10] || back[999])
			printf("WRONG at %ld\n", offsets[i]);
	}
	IS(truncate("sparse", 5000), 0);
	IS(lseek(fd, 0, SEEK_END), 5000);
	FAILS(truncate("nothing", 1), ENOENT);
	FAILS(truncate(".", 1), EISDIR);
	FAILS(truncate("sparse", -1), EINVAL);
	IS(ftruncate(fd, 0), 0);
	fstat(fd, &st);
	IS(st.st_blocks, 0);
	IS(close(fd), 0);
}

static int links_of(const char *path)
{
	struct stat st;
	return stat(path, &st) ? -1 : (int)st.st_nlink;
}

static void names(void)
{
	struct stat first, second;
	int fd;
	IS((fd = open("one", O_RDWR | O_CREAT, 0644)) >= 0, 1);
	IS(write(fd, "text", 4), 4);
	IS(link("one", "two"), 0);
	FAILS(link("one", "two"), EEXIST);
	FAILS(link("nothing", "three"), ENOENT);
	FAILS(link(".", "three"), EPERM);
	IS(links_of("one"), 2);
	IS(stat("one", &first) || stat("two", &second) || first.st_ino != second.st_ino, 0);
	IS(rename("one", "two"), 0);		/* two names of one file: nothing happens */
	IS(links_of("one"), 2);
	IS(unlink("one"), 0);
	IS(links_of("two"), 1);
	IS(pwrite(fd, "TEXT", 4, 2), 4);
	IS(rename("two", "three"), 0);
	IS(unlink("three"), 0);
	IS(pread(fd, back, PIECE, 0), 6);
	IS(memcmp(back, "teTEXT", 6), 0);
	IS(close(fd), 0);

	/* Directories have two links and one for each directory in them. */
	IS(mkdir("a", 0755) || mkdir("a/b", 0755) || mkdir("a/c", 0755), 0);
	IS(links_of("a"), 4);
	IS(mkdir("d", 0755), 0);
	IS(rename("a/b", "d/b"), 0);
	IS(links_of("a"), 3);
	IS(links_of("d"), 3);
	IS(stat("d", &first) || stat("d/b/..", &second) || first.st_ino != second.st_ino, 0);
	IS(rename("a/c", "d/b"), 0);
	IS(links_of("a"), 2);
	IS(links_of("d"), 3);
	IS(rmdir("a") || rmdir("d/b") || rmdir("d"), 0);

	char target[900];
	for (int length = 50; length <= 70; length += 10) {
		memset(target, 'x', length);
		target[length] = 0;
		IS(symlink(target, "link"), 0);
		IS(readlink("link", back, PIECE), length);
		IS(unlink("link"), 0);
	}
	memset(target, 'y', sizeof(target));
	target[899] = 0;
	IS(symlink(target, "link"), 0);
	IS(readlink("link", back, PIECE), 899);
	IS(memcmp(back, target, 899), 0);
	IS(unlink("link"), 0);
}

static void many(void)
{
	char name[100], other[100];
	int failed = 0, fd;
	IS(mkdir("many", 0755), 0);
	for (int i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "many/%d-%.*s", i, i % 60, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh");
		failed += (fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600)) < 0 || write(fd, name, strlen(name)) < 0;
		close(fd);
	}
	IS(failed, 0);
	for (int i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "many/%d-%.*s", i, i % 60, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh");
		snprintf(other, sizeof(other), "many/renamed-%d", i);
		failed += i % 3 == 0 ? unlink(name) : i % 3 == 1 ? rename(name, other) : access(name, R_OK);
	}
	IS(failed, 0);
	IS(access("many/renamed-1", F_OK), 0);
	FAILS(access("many/0-", F_OK), ENOENT);
	FAILS(rmdir("many"), ENOTEMPTY);
}

static void synced(void)
{
	struct statfs status;
	int fd, pair[2];
	IS(statfs(".", &status), 0);
	IS((fd = open("synced", O_RDWR | O_CREAT | O_DSYNC, 0644)) >= 0, 1);
	for (int i = 0; i < 1000; i++) {
		fill(buffer, i * (long)PIECE, 2);
		if (i % 100 == 0 && fdatasync(fd))
			printf("WRONG sync\n");
		if (i < 50 && write(fd, buffer, PIECE) != PIECE)
			printf("WRONG write\n");
	}
	IS(fstatfs(fd, &status), 0);
	IS(status.f_namelen, 255);
	IS(fsync(fd), 0);
	IS(syncfs(fd), 0);
	sync();
	IS(pipe(pair), 0);
	FAILS(fsync(pair[1]), EINVAL);
	FAILS(fsync(99), EBADF);
	IS(close(fd), 0);

	/* A private mapping shows the file, and keeps what is written to itself. */
	IS((fd = open("synced", O_RDONLY)) >= 0, 1);
	char *map = mmap(NULL, 50 * PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	IS(map != MAP_FAILED, 1);
	IS(close(fd) || unlink("synced"), 0);
	fill(buffer, 20 * PIECE, 2);
	IS(memcmp(map + 20 * PIECE, buffer, PIECE), 0);
	map[0]++;
	fill(buffer, 49 * PIECE, 2);
	IS(memcmp(map + 49 * PIECE, buffer, PIECE), 0);
	IS(munmap(map, 50 * PIECE), 0);
}

/* Several threads write files of their own, read them again and remove every other one. */
enum { THREADS = 4, ROUNDS = 6 };

static void *work(void *argument)
{
	long me = (long)argument, wrong = 0;
	char name[40], piece[PIECE];
	for (int round = 0; round < ROUNDS; round++) {
		snprintf(name, sizeof(name), "thread-%ld-%d", me, round);
		int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
		for (long i = 0; i < 60; i++) {
			fill(piece, i * PIECE, me * 16 + round);
			wrong += write(fd, piece, PIECE) != PIECE;
		}
		wrong += fsync(fd) != 0;
		for (long i = 0; i < 60; i++)
			wrong += !holds(fd, i * PIECE, me * 16 + round);
		close(fd);
		if (round % 2)
			wrong += unlink(name) != 0;
	}
	return (void *)wrong;
}

static void threads(void)
{
	pthread_t thread[THREADS];
	void *wrong;
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, work, (void *)i))
			printf("WRONG thread\n");
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &wrong);
		IS((long)wrong, 0);
	}
	IS(access("thread-3-4", F_OK), 0);
	FAILS(access("thread-3-5", F_OK), ENOENT);
}

int main(void)
{
	check_directory();
	sparse();
	names();
	many();
	synced();
	threads();
	/* Open without a name to the end: the file system is clean all the same. */
	int fd = open("last", O_RDWR | O_CREAT, 0600);
	IS(write(fd, buffer, PIECE), PIECE);
	IS(unlink("last"), 0);
	return check_end();
}
