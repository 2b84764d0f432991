/* The serial port as the kernel's own messages use it: polled, one character at a time. */
#include "arch.h"
#include "lib.h"

enum {
	COM1 = 0x3f8,		/* 16550A; the offsets below are its registers */
	UART_THR = 0, UART_DLL = 0, UART_IER = 1, UART_DLM = 1, UART_FCR = 2, UART_LCR = 3, UART_MCR = 4, UART_LSR = 5,
	LCR_8N1 = 0x03, LCR_DLAB = 0x80,
	FCR_ENABLE_CLEAR = 0x07,
	MCR_DTR_RTS_OUT2 = 0x0b,	/* OUT2 lets the interrupt through on a PC */
	LSR_THRE = 0x20,	/* transmitter holding register empty */
	LSR_TEMT = 0x40,	/* and the shift register too */
};

void serial_init(void)
{
	outb(COM1 + UART_IER, 0);
	outb(COM1 + UART_LCR, LCR_DLAB);
	outb(COM1 + UART_DLL, 1);	/* 115,200 baud */
	outb(COM1 + UART_DLM, 0);
	outb(COM1 + UART_LCR, LCR_8N1);
	outb(COM1 + UART_FCR, FCR_ENABLE_CLEAR);
	outb(COM1 + UART_MCR, MCR_DTR_RTS_OUT2);
}

static void wait_for(u8 status)
{
	while (!(inb(COM1 + UART_LSR) & status))
		__asm__ volatile("pause");
}

void serial_put(char c)
{
	wait_for(LSR_THRE);
	outb(COM1 + UART_THR, c);
}

void serial_drain(void) { wait_for(LSR_TEMT); }

void printk(const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (const char *s = text; *s; s++) {
		if (*s == '\n')
			serial_put('\r');
		serial_put(*s);
	}
}
