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
	struct winsize window;
	int group, session;			/* foreground process group; 0: no one's terminal */
	/*
	 * Input. Counts since boot: read <= complete <= written; readers get what is before `complete`, editing
	 * changes what is after it. With ICANON off everything is complete at once.
	 */
	u16 input[INPUT_SIZE];
	u64 read, complete, written;
	struct wait_queue can_read;
} tty = {
	.mode = {
		.input = ICRNL | IXON,
		.output = OPOST | ONLCR,
		.control = 0xbd,		/* B9600 (0xd) CS8 (0x30) CREAD (0x80) */
		.local = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.characters = {
			[VINTR] = 'C' & 31, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 'U' & 31, [VEOF] = 'D' & 31,
			[VMIN] = 1, [VSTART] = 'Q' & 31, [VSTOP] = 'S' & 31, [VSUSP] = 'Z' & 31, [VREPRINT] = 'R' & 31,
			[VDISCARD] = 'O' & 31, [VWERASE] = 'W' & 31, [VLNEXT] = 'V' & 31,
		},
	},
	.window = { 25, 80, 0, 0 },
	.group = 1,
	.session = 1,
	.can_read = WAIT_QUEUE_INIT(tty.can_read),
};

static bool local(u32 flag) { return tty.mode.local & flag; }
static bool is_special(u8 c, int which) { return c == tty.mode.characters[which] && c; }

static void put(u8 c)
{
	if (c == '\n' && tty.mode.output & OPOST && tty.mode.output & ONLCR)
		serial_put('\r');
	serial_put(c);
}

static bool echoed_as_two(u8 c) { return (c < ' ' && c != '\t' && c != '\n') || c == 127; }

static void echo(u8 c)
{
	if (!local(ECHO) && !(c == '\n' && local(ECHONL)))
		return;
	if (local(ECHOCTL) && echoed_as_two(c)) {
		put('^');
		put(c ^ 0x40);
	} else {
		put(c);
	}
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
	if (!local(ECHO) || !local(ECHOE))
		return;
	for (int columns = local(ECHOCTL) && echoed_as_two(c) ? 2 : 1; columns > 0; columns--) {
		put('\b');
		put(' ');
		put('\b');
	}
}

static u8 last_edited(void) { return tty.input[(tty.written - 1) % INPUT_SIZE]; }

static void complete_line(void)
{
	tty.complete = tty.written;
	file_wake(&tty.can_read);
}

/* True: the character was a command of line editing or ended the line. */
static bool edit(u8 c)
{
	if (is_special(c, VERASE) || c == '\b') {
		if (tty.written > tty.complete)
			erase_one();
	} else if (is_special(c, VKILL)) {
		while (tty.written > tty.complete)
			erase_one();
	} else if (is_special(c, VWERASE) && local(IEXTEN)) {
		while (tty.written > tty.complete && last_edited() == ' ')
			erase_one();
		while (tty.written > tty.complete && last_edited() != ' ')
			erase_one();
	} else if (is_special(c, VEOF)) {
		push(END_OF_FILE);
		complete_line();
	} else if (c == '\n' || is_special(c, VEOL)) {
		echo(c);
		push(c);
		complete_line();
	} else {
		return false;
	}
	return true;
}

static int signal_of(u8 c)
{
	return is_special(c, VINTR) ? SIGINT : is_special(c, VQUIT) ? SIGQUIT : is_special(c, VSUSP) ? SIGTSTP : 0;
}

static void receive(u8 c)
{
	if (c == '\r' && tty.mode.input & IGNCR)
		return;
	if (c == '\r' && tty.mode.input & ICRNL)
		c = '\n';
	else if (c == '\n' && tty.mode.input & INLCR)
		c = '\r';
	if (local(ISIG) && signal_of(c)) {
		tty.read = tty.complete = tty.written;
		echo(c);
		if (tty.group)
			signal_send_group(tty.group, signal_of(c));
		return;
	}
	if (local(ICANON) && edit(c))
		return;
	echo(c);
	push(c);
	if (!local(ICANON))
		complete_line();
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

/* A process of the session that is not in the foreground must not take the input (POSIX.1 11.1.4). */
static long check_foreground(void)
{
	struct process *process = current_process();
	if (process->session != tty.session || process->group == tty.group || !tty.group)
		return 0;
	if (process->actions->action[SIGTTIN - 1].handler == SIG_IGN || current_thread()->signal_mask & SIGNAL_BIT(SIGTTIN))
		return -EIO;
	signal_send_group(process->group, SIGTTIN);
	return -ERESTARTSYS;
}

/* Waits until input is there; 1: there is none and the caller must not wait for it. Byte mode: VMIN and VTIME. */
static long wait_for_input(struct file *file, size_t size)
{
	u8 minimum = tty.mode.characters[VMIN], tenths = tty.mode.characters[VTIME];
	bool bytes = !local(ICANON);
	u64 enough = bytes ? MAX(MIN((size_t)minimum, size), 1UL) : 1;
	u64 deadline = bytes && minimum == 0 ? time_now() + tenths * (NS_PER_SECOND / 10) : 0;

	if (tty.complete - tty.read >= enough)
		return 0;
	if (file->flags & O_NONBLOCK)
		return tty.complete > tty.read ? 0 : -EAGAIN;
	if (bytes && minimum == 0 && tenths == 0)
		return 1;
	long error = wait_event_until(&tty.can_read, tty.complete - tty.read >= enough, deadline);
	return error == -ETIMEDOUT ? 1 : restart_if_interrupted(error);
}

/* Takes up to `size` bytes of the input, with interrupts off: a key may empty it. *ended: the line is at its end. */
static size_t take(u8 *to, size_t size, bool *ended)
{
	u64 flags = irq_save();
	size_t count = 0;

	while (!*ended && tty.read < tty.complete && count < size) {
		u16 c = tty.input[tty.read++ % INPUT_SIZE];
		if (c != END_OF_FILE)
			to[count++] = c;
		*ended = local(ICANON) && (c == '\n' || c == END_OF_FILE || is_special(c, VEOL));
	}
	/* End-of-file right after the last byte that fits ends this line, not the next one. */
	if (!*ended && local(ICANON) && tty.read < tty.complete && tty.input[tty.read % INPUT_SIZE] == END_OF_FILE) {
		tty.read++;
		*ended = true;
	}
	irq_restore(flags);
	return count;
}

static ssize_t tty_read(struct file *file, void *buffer, size_t size, u64 *position)
{
	u8 piece[256];
	size_t done = 0, count;
	bool ended = false;

	if (size == 0)
		return 0;
	TRY(check_foreground());
	long error = wait_for_input(file, size);
	if (error)
		return error == 1 ? 0 : error;
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

static long set_mode(u32 request, const void *user)
{
	struct termios mode;
	if (copy_from_user(&mode, user, sizeof(mode)))
		return -EFAULT;
	u64 flags = irq_save();
	tty.mode = mode;
	if (request == TCSETSF)
		tty.read = tty.complete = tty.written;
	if (!local(ICANON))
		complete_line();
	irq_restore(flags);
	return 0;
}

static long tty_ioctl(struct file *file, u32 request, u64 argument)
{
	struct process *process = current_process();
	void *user = (void *)argument;
	int value;

	switch (request) {
	case TCGETS:
		return copy_to_user(user, &tty.mode, sizeof(tty.mode));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_mode(request, user);
	case TIOCGWINSZ:
		return copy_to_user(user, &tty.window, sizeof(tty.window));
	case TIOCSWINSZ:
		return copy_from_user(&tty.window, user, sizeof(tty.window));
	case TIOCGPGRP:
		return copy_to_user(user, &tty.group, sizeof(tty.group));
	case TIOCSPGRP:
		if (copy_from_user(&value, user, sizeof(value)))
			return -EFAULT;
		if (value <= 0)
			return -EINVAL;
		tty.group = value;
		return 0;
	case TIOCGSID:
		return copy_to_user(user, &tty.session, sizeof(tty.session));
	case TIOCSCTTY:
		tty.session = process->session;
		tty.group = process->group;
		return 0;
	case TIOCNOTTY:
	case TCSBRK:
	case TCXONC:
		return 0;
	case TCFLSH:
		if (argument != 1) {	/* TCOFLUSH: output never waits */
			u64 flags = irq_save();
			tty.read = tty.complete = tty.written;
			irq_restore(flags);
		}
		return 0;
	case FIONREAD:
		value = tty.complete - tty.read;
		return copy_to_user(user, &value, sizeof(value));
	}
	return -ENOTTY;
}

const struct file_operations tty_operations = {
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
};
