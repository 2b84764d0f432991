/*
 * What only a disk of one's own can show: a full one, a read-only one, one that fails, mounting. The argument says
 * which. What is checked is Linux's answer.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include "../programs/check-calls.h"

static char buffer[65536];

static long free_blocks(void)
{
	struct statfs status;
	statfs("/mnt", &status);
	return status.f_bfree;
}
static long free_files(void)
{
	struct statfs status;
	statfs("/mnt", &status);
	return status.f_ffree;
}

/* /mnt has few inodes. */
static void full(void)
{
	long before = free_blocks(), files = free_files(), total = 0, made = 0;
	ssize_t n;
	char name[32];
	int fd;
	IS((fd = open("/mnt/fill", O_RDWR | O_CREAT, 0600)) >= 0, 1);
	IS(free_files(), files - 1);
	memset(buffer, 7, sizeof(buffer));
	while ((n = write(fd, buffer, sizeof(buffer))) > 0)
		total += n;
	int error = errno;
	IS(n, -1);
	IS(error, ENOSPC);
	FAILS(write(fd, buffer, 1024), ENOSPC);
	IS(lseek(fd, 0, SEEK_END), total);
	IS(total > 500000, 1);
	FAILS(mkdir("/mnt/directory", 0700), ENOSPC);
	IS(access("/mnt/directory", F_OK), -1);
	memset(buffer, 'l', 500);
	buffer[500] = 0;
	FAILS(symlink(buffer, "/mnt/link"), ENOSPC);
	IS(free_files(), files - 1);
	FAILS(pwrite(fd, "x", 1, 1000000000), ENOSPC);
	IS(lseek(fd, 0, SEEK_END), total);
	IS(fsync(fd), 0);
	IS(ftruncate(fd, 10000), 0);
	IS(mkdir("/mnt/directory", 0700), 0);
	IS(unlink("/mnt/fill"), 0);
	IS(free_blocks() < before - 1, 1);		/* the file is still open */
	IS(close(fd), 0);
	IS(rmdir("/mnt/directory"), 0);
	IS(free_blocks(), before);
	IS(free_files(), files);

	for (; made < 100; made++) {
		sprintf(name, "/mnt/%ld", made);
		fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	error = errno;
	IS(fd, -1);
	IS(error, ENOSPC);
	IS(made, files);
	IS(free_files(), 0);
	IS(unlink("/mnt/3"), 0);
	IS(mkdir("/mnt/3", 0700), 0);
	IS(unlink("/mnt/4"), 0);
}

static void read_only(void)
{
	struct stat st;
	int fd;
	IS((fd = open("/mnt/hello", O_RDONLY)) >= 0, 1);
	IS(read(fd, buffer, 100), 6);
	FAILS(fchmod(fd, 0600), EROFS);
	IS(close(fd), 0);
	FAILS(open("/mnt/hello", O_RDWR), EROFS);
	FAILS(open("/mnt/hello", O_RDONLY | O_TRUNC), EROFS);
	FAILS(open("/mnt/new", O_WRONLY | O_CREAT, 0600), EROFS);
	FAILS(truncate("/mnt/hello", 0), EROFS);
	FAILS(mkdir("/mnt/new", 0700), EROFS);
	FAILS(mkdir("/mnt/hello", 0700), EEXIST);
	FAILS(symlink("x", "/mnt/new"), EROFS);
	FAILS(link("/mnt/hello", "/mnt/new"), EROFS);
	FAILS(rename("/mnt/hello", "/mnt/new"), EROFS);
	FAILS(unlink("/mnt/hello"), EROFS);
	FAILS(chmod("/mnt/hello", 0600), EROFS);
	FAILS(utimensat(AT_FDCWD, "/mnt/hello", NULL, 0), EROFS);
	FAILS(access("/mnt/hello", W_OK), EROFS);
	IS(access("/mnt/hello", R_OK), 0);
	IS(stat("/mnt/hello", &st), 0);
	IS(st.st_size, 6);
	FAILS(mount("/dev/vda", "/tmp", "ext2", 0, NULL), EBUSY);
	IS(umount("/mnt"), 0);
	FAILS(open("/mnt/hello", O_RDONLY), ENOENT);
}

/* The disk is mounted nowhere. */
static void mounting(void)
{
	char where[100];
	struct stat st, root;
	int fd;
	IS(mkdir("/m", 0755) || mkdir("/m/n", 0755), 0);
	IS(stat("/dev/vda", &st), 0);
	IS(S_ISBLK(st.st_mode) && st.st_rdev == 254 << 8, 1);
	FAILS(mount("/dev/vda", "/m/n", "ext4", 0, NULL), ENODEV);
	FAILS(mount("/dev/null", "/m/n", "ext2", 0, NULL), ENOTBLK);
	FAILS(mount("/dev/vdb", "/m/n", "ext2", 0, NULL), ENOENT);
	FAILS(mount("/dev/vda", "/none", "ext2", 0, NULL), ENOENT);
	FAILS(mount("/dev/vda", "/init-file", "ext2", 0, NULL), ENOENT);
	close(creat("/init-file", 0600));
	FAILS(mount("/dev/vda", "/init-file", "ext2", 0, NULL), ENOTDIR);
	FAILS(umount("/m/n"), EINVAL);
	for (int i = 0; i < 3; i++) {
		IS(mount("/dev/vda", "/m/n", "ext2", i == 1 ? MS_RDONLY : MS_NOATIME, NULL), 0);
		FAILS(mount("/dev/vda", "/m", "ext2", 0, NULL), EBUSY);
		FAILS(mount("/dev/vda", "/m/n", "ext2", 0, NULL), EBUSY);
		FAILS(rmdir("/m/n"), EBUSY);
		FAILS(rename("/m/n", "/m/o"), EBUSY);
		IS(chdir("/m/n/sub"), 0);
		IS(strcmp(getcwd(where, sizeof(where)), "/m/n/sub"), 0);
		IS(stat("../../..", &st) || stat("/", &root) || st.st_ino != root.st_ino || st.st_dev != root.st_dev, 0);
		IS(stat(".", &st), 0);
		IS(st.st_dev != root.st_dev, 1);
		FAILS(umount("/m/n"), EBUSY);
		IS(chdir("../.."), 0);
		IS(strcmp(getcwd(where, sizeof(where)), "/m"), 0);
		IS((fd = open("n/hello", O_RDONLY)) >= 0, 1);
		FAILS(umount("n"), EBUSY);
		IS(close(fd), 0);
		if (i != 1) {
			IS(close(creat("n/made", 0600)), 0);
			FAILS(rename("n/made", "/tmp/made"), EXDEV);
			FAILS(link("n/made", "/tmp/made"), EXDEV);
			FAILS(rename("/init-file", "n/made"), EXDEV);
			FAILS(link("/init-file", "n/other"), EXDEV);
			FAILS(link("/init-file", "/tmp/other"), EPERM);
			IS(symlink("/tmp/../m/n/hello", "n/absolute"), 0);
			IS(stat("n/absolute", &st), 0);
			IS(st.st_size, 6);
			IS(unlink("n/absolute") || unlink("n/made"), 0);
		}
		IS(umount("n"), 0);
		FAILS(open("n/hello", O_RDONLY), ENOENT);
	}
	IS(rmdir("/m/n"), 0);
}

/* Sectors of /mnt/bad cannot be read, and some that a large file comes to lie on cannot be written. */
static void failing(void)
{
	int fd, error = 0;
	IS((fd = open("/mnt/bad", O_RDONLY)) >= 0, 1);
	FAILS(read(fd, buffer, 1000), EIO);
	IS(close(fd), 0);
	IS((fd = open("/mnt/hello", O_RDONLY)) >= 0, 1);
	IS(read(fd, buffer, 100), 6);
	IS(close(fd), 0);
	IS((fd = open("/mnt/long", O_RDWR | O_CREAT, 0600)) >= 0, 1);
	memset(buffer, 5, sizeof(buffer));
	for (int i = 0; i < 300 && !error; i++)
		error = write(fd, buffer, sizeof(buffer)) != sizeof(buffer);
	IS(error, 0);
	FAILS(fsync(fd), EIO);
	IS(close(fd) || truncate("/mnt/long", 100), 0);
	IS((fd = open("/mnt/hello", O_RDWR)) >= 0, 1);
	IS(write(fd, "HELLO", 5), 5);
	fsync(fd);
	IS(fsync(fd), 0);
	IS(close(fd), 0);
}

/* Everything that can be done to files, whatever comes of it. */
static void walk(const char *path, int depth)
{
	char name[4096];
	struct stat st;
	struct dirent *entry;
	DIR *directory = depth < 12 ? opendir(path) : NULL;
	for (int i = 0; directory && i < 300 && (entry = readdir(directory)); i++) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (lstat(name, &st))
			continue;
		if (S_ISDIR(st.st_mode))
			walk(name, depth + 1);
		int fd = open(name, O_RDWR | O_NONBLOCK);
		for (int n = 0; n < 40 && read(fd, buffer, sizeof(buffer)) > 0; n++)
			;
		if (write(fd, buffer, 5000) < 0)
			errno = 0;
		if (pwrite(fd, buffer, 50, 20000000) < 0)
			errno = 0;
		close(fd);
		if (readlink(name, buffer, 100) < 0 || truncate(name, 3000) || chmod(name, 0600))
			errno = 0;
		snprintf(buffer, sizeof(buffer), "%s.new", name);
		if (link(name, buffer) || rename(buffer, "/mnt/moved"))
			errno = 0;
		if (unlink(name))
			rmdir(name);
	}
	if (directory)
		closedir(directory);
}

static void damaged(void)
{
	for (int i = 0; i < 2; i++) {
		walk("/mnt", 0);
		mkdir("/mnt/new", 0700);
		int fd = open("/mnt/new/file", O_RDWR | O_CREAT, 0600);
		for (int n = 0; n < 20 && write(fd, buffer, sizeof(buffer)) > 0; n++)
			;
		close(fd);
		sync();
	}
}

int main(int count, char **arguments)
{
	static const struct { const char *name; void (*run)(void); } cases[] = {
		{ "full", full }, { "read-only", read_only }, { "mounting", mounting }, { "failing", failing },
		{ "damaged", damaged },
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (count > 1 && !strcmp(arguments[1], cases[i].name))
			cases[i].run();
	return check_end();
}
