/* The tree: directories, symbolic links, renaming, paths relative to descriptors. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "check-calls.h"

static int compare(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void list(const char *path)
{
	char *names[300];
	int count = 0;
	DIR *dir = opendir(path);
	struct dirent *entry;
	if (!dir) {
		printf("%s: %s\n", path, strerror(errno));
		return;
	}
	while ((entry = readdir(dir))) {
		char text[300];
		snprintf(text, sizeof(text), "%s:%d", entry->d_name, entry->d_type);
		names[count++] = strdup(text);
	}
	closedir(dir);
	qsort(names, count, sizeof(*names), compare);
	printf("%s:", path);
	for (int i = 0; i < count; i++)
		printf(" %s", names[i]);
	printf("\n");
}

static int mode_of(const char *path, int follow)
{
	struct stat st;
	return fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) ? -1 : (int)st.st_mode;
}

int main(void)
{
	char text[4200], start[300];
	struct stat st, st2;
	int dir, fd;

	check_directory();
	getcwd(start, sizeof(start));
	umask(022);
	IS(mkdir("d", 0777), 0);
	FAILS(mkdir("d", 0777), EEXIST);
	FAILS(mkdir("none/d", 0777), ENOENT);
	IS(mode_of("d", 1), S_IFDIR | 0755);
	IS(mkdir("d/e/", 0700), 0);
	IS(close(open("d/f", O_CREAT | O_WRONLY, 0666)), 0);
	IS(mode_of("d/f", 1), S_IFREG | 0644);
	IS(symlink("f", "d/s"), 0);
	IS(symlink("../d/./e", "d/t"), 0);
	IS(symlink("loop", "loop"), 0);
	list("d");
	list("d/t/../");
	IS(mode_of("d/s", 0), S_IFLNK | 0777);
	IS(mode_of("d/s", 1), S_IFREG | 0644);
	IS(mode_of("d/t/.", 1), S_IFDIR | 0700);
	FAILS(open("loop", O_RDONLY), ELOOP);
	FAILS(open("loop/x", O_RDONLY), ELOOP);
	FAILS(open("d/s", O_RDONLY | O_NOFOLLOW), ELOOP);
	IS(readlink("d/t", text, sizeof(text)), 8);
	IS(readlink("d/t", text, 3), 3);
	FAILS(readlink("d/f", text, 3), EINVAL);

	/* A symbolic link to nothing: open may make what it points to, but not with O_EXCL. */
	IS(symlink("made", "dangling"), 0);
	FAILS(open("dangling", O_RDONLY), ENOENT);
	FAILS(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	IS(close(open("dangling", O_CREAT | O_RDWR, 0600)), 0);
	IS(mode_of("made", 0), S_IFREG | 0600);
	IS(unlink("dangling"), 0);
	IS(mode_of("made", 0), S_IFREG | 0600);

	FAILS(unlink("nothing"), ENOENT);
	FAILS(unlink("d"), EISDIR);

	/* Renaming. */
	IS(rename("made", "d/made"), 0);
	IS(rename("d/made", "r"), 0);
	stat("r", &st);
	IS(st.st_nlink, 1);
	IS(rename("r", "r"), 0);
	FAILS(rename("r", "d"), EISDIR);
	FAILS(rename("d", "r"), ENOTDIR);
	FAILS(rename("d", "d/e/d"), EINVAL);
	FAILS(rename("nothing", "x"), ENOENT);
	IS(mkdir("empty", 0755), 0);
	FAILS(rename("empty", "d"), ENOTEMPTY);
	IS(rename("d", "empty"), 0);
	list("empty");
	list("d");
	IS(rename("empty", "d"), 0);
	IS(mkdir("g", 0755), 0);
	IS(rename("d/e", "g/e"), 0);
	IS(chdir("g/e"), 0);
	IS(chdir(".."), 0);
	printf("%s\n", getcwd(text, sizeof(text)) + strlen(start));
	FAILS(rmdir("../d"), ENOTEMPTY);
	FAILS(rmdir("."), EINVAL);
	FAILS(rmdir("../d/f"), ENOTDIR);
	IS(rmdir("e"), 0);
	IS(chdir(start), 0);

	/* Relative to a descriptor. */
	IS((dir = open("d", O_RDONLY | O_DIRECTORY)) >= 0, 1);
	IS(mkdirat(dir, "sub", 0755), 0);
	IS((fd = openat(dir, "sub/file", O_CREAT | O_RDWR, 0640)) >= 0, 1);
	FAILS(openat(fd, "x", O_RDONLY), ENOTDIR);
	FAILS(openat(99, "x", O_RDONLY), EBADF);
	IS(fstatat(dir, "sub/file", &st, 0), 0);
	IS(st.st_mode, S_IFREG | 0640);
	IS(fstatat(fd, "", &st2, AT_EMPTY_PATH), 0);
	IS(st.st_ino == st2.st_ino, 1);
	FAILS(fstatat(fd, "", &st2, 0), ENOENT);
	IS(symlinkat("sub/file", dir, "way"), 0);
	IS(readlinkat(dir, "way", text, sizeof(text)), 8);
	IS(faccessat(dir, "way", R_OK | W_OK, 0), 0);
	FAILS(faccessat(dir, "way", X_OK, 0), EACCES);
	IS(fchmodat(dir, "way", 0751, 0), 0);
	IS(faccessat(dir, "way", X_OK, 0), 0);
	IS(fchmod(fd, 0600), 0);
	IS(mode_of("d/sub/file", 1), S_IFREG | 0600);
	IS(renameat(dir, "sub/file", AT_FDCWD, "moved"), 0);
	IS(unlinkat(dir, "sub", AT_REMOVEDIR), 0);
	FAILS(unlinkat(dir, "sub", AT_REMOVEDIR), ENOENT);
	list("d");

	struct timespec times[2] = { { 1000, 5 }, { 2000000000, 123456789 } };
	IS(utimensat(AT_FDCWD, "moved", times, 0), 0);
	stat("moved", &st);
	IS(st.st_mtim.tv_sec, 2000000000);
	IS(st.st_mtim.tv_nsec, 123456789);

	/* Names and paths that are too long. */
	memset(text, 'n', sizeof(text));
	text[255] = 0;
	IS(close(open(text, O_CREAT | O_WRONLY, 0600)), 0);
	IS(unlink(text), 0);
	text[255] = 'n';
	text[256] = 0;
	FAILS(open(text, O_RDONLY), ENAMETOOLONG);
	text[256] = 'n';
	for (int i = 1; i < 4200; i += 2)
		text[i] = '/';
	text[4199] = 0;
	FAILS(open(text, O_RDONLY), ENAMETOOLONG);

	/* A large directory, read while names go. */
	IS(mkdir("many", 0755), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "many/file-with-a-long-name-%d", i);
		close(creat(text, 0600));
	}
	int seen = 0;
	DIR *many = opendir("many");
	for (struct dirent *entry; (entry = readdir(many));) {
		seen++;
		unlinkat(dirfd(many), entry->d_name, 0);
	}
	closedir(many);
	IS(seen, 202);
	IS(rmdir("many"), 0);

	/* A removed current directory. */
	IS(mkdir("gone", 0755), 0);
	IS(chdir("gone"), 0);
	IS(rmdir("../gone"), 0);
	FAILS(creat("x", 0600), ENOENT);
	IS(getcwd(text, sizeof(text)) == NULL && errno == ENOENT, 1);
	return check_end();
}
