/*
 * Linux's binary interface for files on x86-64 (include/uapi/linux/{fcntl,stat,poll,socket}.h,
 * include/uapi/asm-generic/{fcntl,termbits,ioctls}.h). Octal constants are octal there.
 */
#ifndef ABI_FILES_H
#define ABI_FILES_H

#include "abi.h"

enum { NAME_MAX = 255, PATH_MAX = 4096, PIPE_BUF = 4096, IOV_MAX = 1024, SYMLINKS_MAX = 40 };

enum {
	O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_ACCMODE = 3,
	O_CREAT = 0100, O_EXCL = 0200, O_NOCTTY = 0400, O_TRUNC = 01000, O_APPEND = 02000, O_NONBLOCK = 04000,
	O_DSYNC = 010000, O_LARGEFILE = 0100000, O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_CLOEXEC = 02000000,
};
enum {
	AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200, AT_SYMLINK_FOLLOW = 0x400, AT_EMPTY_PATH = 0x1000,
};
enum {
	F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4, F_DUPFD_CLOEXEC = 1030, FD_CLOEXEC = 1,
};
enum { SEEK_SET, SEEK_CUR, SEEK_END };
enum { UTIME_NOW = 0x3fffffff, UTIME_OMIT = 0x3ffffffe };

enum {
	S_IFMT = 0170000, S_IFSOCK = 0140000, S_IFLNK = 0120000, S_IFREG = 0100000, S_IFDIR = 0040000,
	S_IFBLK = 0060000, S_IFCHR = 0020000, S_IFIFO = 0010000,
};
#define S_ISREG(mode) (((mode) & S_IFMT) == S_IFREG)
#define S_ISDIR(mode) (((mode) & S_IFMT) == S_IFDIR)
#define S_ISLNK(mode) (((mode) & S_IFMT) == S_IFLNK)
#define S_ISSOCK(mode) (((mode) & S_IFMT) == S_IFSOCK)
#define S_ISBLK(mode) (((mode) & S_IFMT) == S_IFBLK)
#define S_ISCHR(mode) (((mode) & S_IFMT) == S_IFCHR)

struct stat {
	u64 device, inode, links;
	u32 mode, uid, gid, pad;
	u64 special_device;
	s64 size, block_size, blocks;
	struct timespec accessed, modified, changed;
	s64 unused[3];
};
struct directory_record { u64 inode, next; u16 size; u8 type; char name[]; } __attribute__((packed));

struct statfs {
	u64 type, block_size, blocks, free, available, files, free_files;
	u32 id[2];
	u64 name_length, fragment_size, flags, spare[4];
};

struct iovec { void *base; u64 size; };
struct pollfd { s32 descriptor; u16 events, found; };
enum { POLLIN = 1, POLLPRI = 2, POLLOUT = 4, POLLERR = 8, POLLHUP = 16, POLLNVAL = 32,
       POLLRDHUP = 0x2000 };

enum { AF_UNIX = 1, SOCK_STREAM = 1, SOCK_NONBLOCK = O_NONBLOCK, SOCK_CLOEXEC = O_CLOEXEC };
enum { MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000 };

enum {
	TCGETS = 0x5401, TCSETS, TCSETSW, TCSETSF, TIOCGPGRP = 0x540f, TIOCSPGRP, TIOCGWINSZ = 0x5413,
	FIONREAD = 0x541b,
};
enum { VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, NCCS = 19 };
enum { ICRNL = 0400 };
enum { OPOST = 1, ONLCR = 4 };
enum { ISIG = 1, ICANON = 2, ECHO = 010, ECHOE = 020, ECHOK = 040, ECHOCTL = 01000, ECHOKE = 04000 };
struct termios { u32 input, output, control, local; u8 line, characters[NCCS]; };
struct winsize { u16 rows, columns, width, height; };

#endif
