/* Descriptors: duplicates share a position, flags of the descriptor and of the file. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include "check-calls.h"

int main(void)
{
	char c;
	int fd, copy;

	check_directory();
	fd = open("f", O_RDWR | O_CREAT, 0600);
	IS(fd, 3);
	IS(write(fd, "0123456789", 10), 10);
	IS((copy = dup(fd)), 4);
	IS(lseek(copy, 3, SEEK_SET), 3);
	IS(read(fd, &c, 1), 1);
	IS(c, '3');
	IS(lseek(copy, 0, SEEK_CUR), 4);
	IS(dup2(fd, 10), 10);
	IS(dup2(fd, fd), fd);
	FAILS(dup2(99, 11), EBADF);
	FAILS(dup2(fd, -1), EBADF);
	IS(dup3(fd, 11, O_CLOEXEC), 11);
	FAILS(dup3(fd, fd, 0), EINVAL);
	IS(fcntl(11, F_GETFD), FD_CLOEXEC);
	IS(fcntl(10, F_GETFD), 0);
	IS(fcntl(10, F_SETFD, FD_CLOEXEC), 0);
	IS(fcntl(10, F_GETFD), FD_CLOEXEC);
	IS(fcntl(fd, F_DUPFD, 20), 20);
	IS(fcntl(fd, F_DUPFD, 20), 21);
	IS(fcntl(fd, F_DUPFD_CLOEXEC, 20), 22);
	IS(fcntl(22, F_GETFD), FD_CLOEXEC);
	IS(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR);
	IS(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK), 0);
	IS(fcntl(copy, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR | O_APPEND | O_NONBLOCK);
	IS(write(copy, "A", 1), 1);
	IS(lseek(fd, 0, SEEK_CUR), 11);
	FAILS(fcntl(99, F_GETFL), EBADF);
	FAILS(isatty(fd) - 1, ENOTTY);
	struct winsize size;
	FAILS(ioctl(fd, TIOCGWINSZ, &size), ENOTTY);
	FAILS(ioctl(99, TIOCGWINSZ, &size), EBADF);
	close(fd);
	IS(read(copy, &c, 1), 0);
	IS(lseek(copy, -1, SEEK_END), 10);
	IS(read(copy, &c, 1), 1);
	IS(c, 'A');
	IS(open("f", O_RDONLY), 3);	/* the lowest that is free */

	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
	char zeroes[5000];
	memset(zeroes, 1, sizeof(zeroes));
	IS(read(null, zeroes, 10), 0);
	IS(write(null, zeroes, 10), 10);
	IS(read(zero, zeroes, sizeof(zeroes)), sizeof(zeroes));
	IS(zeroes[0] | zeroes[2500] | zeroes[4999], 0);
	IS(write(zero, zeroes, 10), 10);
	IS(lseek(zero, 5, SEEK_SET) >= 0, 1);
	FAILS(read(zero, (void *)8, 1), EFAULT);
	int random = open("/dev/urandom", O_RDONLY);
	unsigned char bytes[64] = { 0 };
	int ones = 0;
	IS(read(random, bytes, sizeof(bytes)), sizeof(bytes));
	for (int i = 0; i < 64 * 8; i++)
		ones += bytes[i / 8] >> (i % 8) & 1;
	IS(ones > 150 && ones < 362, 1);
	struct stat st;
	IS(fstat(null, &st), 0);
	IS(S_ISCHR(st.st_mode), 1);
	IS(st.st_rdev, 0x103);
	return check_end();
}
