/*
 * What the hello image does: it prints the privilege level and the control registers on COM1 and powers the
 * machine off. Polled output, no interrupts, no memory besides the stack.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

enum {
	COM1 = 0x3f8,		/* 16550A; the offsets below are its registers */
	UART_THR = 0,
	UART_DLL = 0,
	UART_IER = 1,
	UART_DLM = 1,
	UART_FCR = 2,
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	LCR_8N1 = 0x03,
	LCR_DLAB = 0x80,
	FCR_ENABLE_CLEAR = 0x07,
	MCR_DTR_RTS = 0x03,
	LSR_THRE = 0x20,	/* transmitter holding register empty */

	/*
	 * ACPI PM1a control. ukl-emu's FADT puts it here, and so does QEMU: SeaBIOS sets the power management
	 * base to 0x600 on both of its PC machines. In both, \_S5 gives SLP_TYP 0.
	 */
	PM1A_CONTROL = 0x604,
	SLP_TYP_S5 = 0 << 10,
	SLP_EN = 1 << 13,

	DEBUG_EXIT = 0xf4,	/* isa-debug-exit: status value * 2 + 1 */
	POST = 0x80,		/* writes go nowhere and take about a microsecond */
	IA32_EFER = 0xc0000080,
};

static inline void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outw(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }

static inline u8 inb(u16 port)
{
	u8 value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u64 rdmsr(u32 index)
{
	u32 low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

#define READ_REGISTER(name)                                       \
	({                                                        \
		u64 value_;                                       \
		__asm__ volatile("mov %%" name ", %0" : "=r"(value_)); \
		value_;                                           \
	})

static void serial_init(void)
{
	outb(COM1 + UART_IER, 0);
	outb(COM1 + UART_LCR, LCR_DLAB);
	outb(COM1 + UART_DLL, 1);	/* 115,200 baud */
	outb(COM1 + UART_DLM, 0);
	outb(COM1 + UART_LCR, LCR_8N1);
	outb(COM1 + UART_FCR, FCR_ENABLE_CLEAR);
	outb(COM1 + UART_MCR, MCR_DTR_RTS);
}

static void put_char(char c)
{
	while (!(inb(COM1 + UART_LSR) & LSR_THRE))
		__asm__ volatile("pause");
	outb(COM1 + UART_THR, c);
}

static void put_string(const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			put_char('\r');
		put_char(*s);
	}
}

static void put_register(const char *name, u64 value)
{
	put_string(name);
	put_string("0x");
	for (int shift = 60; shift >= 0; shift -= 4)
		put_char("0123456789abcdef"[value >> shift & 15]);
	put_string("\n");
}

static void power_off(void)
{
	outw(PM1A_CONTROL, SLP_TYP_S5 | SLP_EN);
	/* QEMU acts on the write a little later: do not let the fallback overtake it. */
	for (int i = 0; i < 100000; i++)
		outb(POST, 0);
	outb(DEBUG_EXIT, 0);
}

void hello(void)
{
	serial_init();
	put_string("Hello from ring 0: this is the hello image of ukl-emu.\n");
	put_register("CPL  ", READ_REGISTER("cs") & 3);
	put_register("CR0  ", READ_REGISTER("cr0"));
	put_register("CR3  ", READ_REGISTER("cr3"));
	put_register("CR4  ", READ_REGISTER("cr4"));
	put_register("EFER ", rdmsr(IA32_EFER));
	put_string("Powering off.\n");
	power_off();
}
