/*
 * The terminal on COM1: a 16550A whose input comes by interrupt, and the line discipline of POSIX.1 chapter 11
 * (General Terminal Interface): lines with editing, echo, signals from the keyboard, or bytes as they come.
 */
#include "internal.h"

enum {
	COM1 = 0x3f8, COM1_LINE = 4,		/* port base, ISA interrupt */
	UART_RBR = 0, UART_IER = 1, UART_MCR = 4, UART_LSR = 5,
	IER_RECEIVED = 1, MCR_DTR_RTS_OUT2 = 0x0b, LSR_DATA_READY = 1,
};

enum {
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
		.input = ICRNL,
		.output = OPOST | ONLCR,
		.control = 0xbd,		/* B9600 (0xd) CS8 (0x30) CREAD (0x80) */
		.local = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE,
		.characters = {
			[VINTR] = 'C' & 31, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 'U' & 31, [VEOF] = 'D' & 31, [VMIN] = 1,
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

static bool echoed_as_two(u8 c) { return (c < ' ' && c != '\t' && c != '\n') || c == 127; }

static void echo(u8 c)
{
	if (!local(ECHO))
		return;
	if (echoed_as_two(c))
		put('^');
	put(echoed_as_two(c) ? c ^ 0x40 : c);
}

static void push(u16 c)
{
	if (tty.written - tty.read < INPUT_SIZE - 1)
		tty.input[tty.written++ % INPUT_SIZE] = c;
	else
		put('\a');
}

static void erase_one(void)
{
	u8 c = tty.input[--tty.written % INPUT_SIZE];
	for (int columns = !local(ECHO) ? 0 : echoed_as_two(c) ? 2 : 1; columns > 0; columns--) {
		put('\b');
		put(' ');
		put('\b');
	}
}

static void complete_input(void)
{
	tty.complete = tty.written;
	file_wake(&tty.can_read);
}

static void receive(u8 c)
{
	if (c == '\r' && tty.mode.input & ICRNL)
		c = '\n';
	if (local(ISIG) && (is_special(c, VINTR) || is_special(c, VQUIT))) {
		tty.read = tty.complete = tty.written;
		echo(c);
		signal_send_group(tty.group, is_special(c, VINTR) ? SIGINT : SIGQUIT);
	} else if (local(ICANON) && (is_special(c, VERASE) || is_special(c, VKILL))) {
		for (bool all = is_special(c, VKILL), more = true; more && tty.written > tty.complete; more = all)
			erase_one();
	} else if (local(ICANON) && is_special(c, VEOF)) {
		push(END_OF_FILE);
		complete_input();
	} else {
		echo(c);
		push(c);
		if (!local(ICANON) || c == '\n')
			complete_input();
	}
}

static void interrupt(void)
{
	while (inb(COM1 + UART_LSR) & LSR_DATA_READY)
		receive(inb(COM1 + UART_RBR));
}

void tty_init(void)
{
	interrupt_register(COM1_LINE, interrupt);
	outb(COM1 + UART_MCR, MCR_DTR_RTS_OUT2);	/* OUT2 lets the interrupt out of the chip on a PC */
	outb(COM1 + UART_IER, IER_RECEIVED);
	interrupt();
}

/* Takes up to `size` bytes of the input, with interrupts off: a key may empty it. *ended: the line is at its end. */
static size_t take(u8 *to, size_t size, bool *ended)
{
	u64 flags = irq_save();
	size_t count = 0;

	while (!*ended && tty.read < tty.complete) {
		u16 c = tty.input[tty.read % INPUT_SIZE];
		/* End-of-file right after the last byte that fits ends this line, not the next one. */
		if (count == size && c != END_OF_FILE)
			break;
		tty.read++;
		if (c != END_OF_FILE)
			to[count++] = c;
		*ended = local(ICANON) && (c == '\n' || c == END_OF_FILE);
	}
	irq_restore(flags);
	return count;
}

static ssize_t tty_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	u8 piece[256];
	size_t done = 0, count;
	bool ended = false;

	if (tty.complete == tty.read && size && file->flags & O_NONBLOCK)
		return -EAGAIN;
	if (size)
		TRY(restart_if_interrupted(wait_event(&tty.can_read, tty.complete > tty.read)));
	while (!ended && (count = take(piece, MIN(size - done, sizeof(piece)), &ended)) > 0) {
		if (copy_to_user(buffer + done, piece, count))
			return -EFAULT;
		done += count;
	}
	return done;
}

static ssize_t tty_write(struct file *file, const void *buffer, size_t size, u64 *position)
{
	u8 piece[256];

	for (size_t done = 0; done < size;) {
		size_t count = MIN(size - done, sizeof(piece));
		if (copy_from_user(piece, buffer + done, count))
			return done ? (ssize_t)done : -EFAULT;
		for (size_t i = 0; i < count; i++)
			put(piece[i]);
		done += count;
	}
	return size;
}

static u32 tty_poll(struct file *file)
{
	return POLLOUT | POLLWRNORM | (tty.complete > tty.read ? POLLIN | POLLRDNORM : 0);
}

static long set_mode(const void *user, bool flush)
{
	struct termios mode;
	if (copy_from_user(&mode, user, sizeof(mode)))
		return -EFAULT;
	u64 flags = irq_save();
	tty.mode = mode;
	if (flush)
		tty.read = tty.complete = tty.written;
	if (!local(ICANON))
		complete_input();
	irq_restore(flags);
	return 0;
}

static long tty_ioctl(struct file *file, u32 request, u64 argument)
{
	const struct winsize window = { .rows = 25, .columns = 80 };
	void *user = (void *)argument;

	switch (request) {
	case TCGETS:
		return copy_to_user(user, &tty.mode, sizeof(tty.mode));
	case TCSETS:
	case TCSETSW:			/* output never waits */
	case TCSETSF:
		return set_mode(user, request == TCSETSF);
	case TIOCGWINSZ:
		return copy_to_user(user, &window, sizeof(window));
	case TIOCGPGRP:
		return copy_to_user(user, &tty.group, sizeof(tty.group));
	case TIOCSPGRP:
		return copy_from_user(&tty.group, user, sizeof(tty.group));
	}
	return -ENOTTY;
}

const struct file_operations tty_operations = {
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
};
