/*
 * The terminal on COM1: a 16550A whose input comes by interrupt, and the line discipline of POSIX.1 chapter 11
 * (General Terminal Interface): lines with editing, echo, signals from the keyboard, or bytes as they come.
 */
#include "internal.h"

enum {
	COM1_LINE = 4,				/* ISA interrupt */
	COM1_DATA = 0x3f8, COM1_IER = 0x3f9, COM1_MCR = 0x3fc, COM1_LSR = 0x3fd,
	IER_RECEIVED = 1, MCR_DTR_RTS_OUT2 = 0x0b, LSR_DATA_READY = 1,
	INPUT_SIZE = 4096,
	/* Among the input: where an end-of-file character ended a line without being part of it. */
	END_OF_FILE = 0x100,
};

static struct {
	struct termios mode;
	int group;				/* foreground process group */
	/*
	 * Input. Counts since boot: read <= complete <= written; readers get what is before `complete`, editing
	 * changes what is after it. With ICANON off everything is complete at once.
	 */
	u16 input[INPUT_SIZE];
	u64 read, complete, written;
	struct wait_queue can_read;
} tty = {
	.mode = {
		.input = ICRNL, .output = OPOST | ONLCR,
		.control = 0xbd,		/* B9600 (0xd) CS8 (0x30) CREAD (0x80) */
		.local = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE,
		.characters = {
			[VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 'U' & 31, [VEOF] = 4, [VMIN] = 1,
		},
	},
	.group = 1,
	.can_read = WAIT_QUEUE_INIT(tty.can_read),
};

static bool local(u32 flag) { return tty.mode.local & flag; }
static bool is_special(u8 c, int which) { return c == tty.mode.characters[which] && c; }

static void put(u8 c)
{
	if (c == '\n' && (tty.mode.output & (OPOST | ONLCR)) == (OPOST | ONLCR))
		serial_put('\r');
	serial_put(c);
}

static void echo(u8 c)
{
	bool control = (c < ' ' && c != '\t' && c != '\n') || c == 127;
	if (local(ECHO) && control)
		put('^');
	if (local(ECHO))
		put(control ? c ^ 0x40 : c);
}

static void erase(bool all)
{
	for (bool more = true; more && tty.written > tty.complete; more = all) {
		tty.written--;
		for (const char *back = "\b \b"; *back && local(ECHO); back++)
			put(*back);
	}
}

static void complete_input(void)
{
	tty.complete = tty.written;
	file_wake(&tty.can_read);
}

static void receive(u8 c)
{
	bool end = local(ICANON) && is_special(c, VEOF);
	if (c == '\r' && tty.mode.input & ICRNL)
		c = '\n';
	if (local(ISIG) && (is_special(c, VINTR) || is_special(c, VQUIT))) {
		tty.read = tty.complete = tty.written;
		echo(c);
		signal_send_group(tty.group, is_special(c, VINTR) ? SIGINT : SIGQUIT);
	} else if (local(ICANON) && (is_special(c, VERASE) || is_special(c, VKILL))) {
		erase(is_special(c, VKILL));
	} else if (tty.written - tty.read < INPUT_SIZE) {
		if (!end)
			echo(c);
		tty.input[tty.written++ % INPUT_SIZE] = end ? END_OF_FILE : c;
		if (!local(ICANON) || end || c == '\n' || tty.written - tty.read == INPUT_SIZE)
			complete_input();	/* a line that fills the input can be read */
	}
}

static void interrupt(void)
{
	while (inb(COM1_LSR) & LSR_DATA_READY)
		receive(inb(COM1_DATA));
}

void tty_init(void)
{
	interrupt_register(COM1_LINE, interrupt);
	outb(COM1_MCR, MCR_DTR_RTS_OUT2);	/* OUT2 lets the interrupt out of the chip on a PC */
	outb(COM1_IER, IER_RECEIVED);
	interrupt();
}

/* A line, or what is there; of a long one the next piece. With interrupts off: a key may empty the input. */
static ssize_t tty_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	u8 piece[256];
	size_t count = 0;
	if (tty.complete == tty.read && size && file->flags & O_NONBLOCK)
		return -EAGAIN;
	if (size)
		TRY(restart_if_interrupted(wait_event(&tty.can_read, tty.complete > tty.read)));
	u64 flags = irq_save();
	for (bool ended = false; !ended && tty.read < tty.complete && count < MIN(size, sizeof(piece));) {
		u16 c = tty.input[tty.read++ % INPUT_SIZE];
		if (c != END_OF_FILE)
			piece[count++] = c;
		ended = local(ICANON) && (c == '\n' || c == END_OF_FILE);
	}
	irq_restore(flags);
	return copy_to_user(buffer, piece, count) ? -EFAULT : (ssize_t)count;
}

static ssize_t tty_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	for (size_t done = 0; done < size; done++) {
		u8 c;
		if (copy_from_user(&c, buffer + done, 1))
			return done ? (ssize_t)done : -EFAULT;
		put(c);
	}
	return size;
}

static u32 tty_poll(struct file *file)
{
	return POLLOUT | (tty.complete > tty.read ? POLLIN : 0);
}

static long tty_ioctl(struct file *file, u32 request, u64 argument)
{
	const struct winsize window = { .rows = 25, .columns = 80 };
	void *user = (void *)argument;
	switch (request) {
	case TCGETS:
		return copy_to_user(user, &tty.mode, sizeof(tty.mode));
	case TCSETS ... TCSETSF:	/* output never waits */
		if (copy_from_user(&tty.mode, user, sizeof(tty.mode)))
			return -EFAULT;
		if (!local(ICANON))
			complete_input();
		return 0;
	case TIOCGWINSZ:
		return copy_to_user(user, &window, sizeof(window));
	case TIOCGPGRP:
		return copy_to_user(user, &tty.group, sizeof(tty.group));
	case TIOCSPGRP:
		return copy_from_user(&tty.group, user, sizeof(tty.group));
	}
	return -ENOTTY;
}

#if CONFIG_NET
static void tty_queues(struct file *file, struct wait_queue *queues[2]) { queues[0] = &tty.can_read; }
#endif

const struct file_operations tty_operations = {
	.read = tty_read, .write = tty_write, .poll = tty_poll, .ioctl = tty_ioctl,
#if CONFIG_NET
	.queues = tty_queues,
#endif
};
