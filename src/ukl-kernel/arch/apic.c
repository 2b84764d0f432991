/* The interrupt controllers (SDM vol. 3A chapter 11; 82093AA data sheet). The 8259s are masked and forgotten. */
#include "arch.h"
#include "mm.h"

enum {			/* the local APIC's registers, by offset */
	LAPIC_ID = 0x020, LAPIC_EOI = 0x0b0, LAPIC_SVR = 0x0f0, LAPIC_ISR = 0x100, LAPIC_ICR_LOW = 0x300, LAPIC_ICR_HIGH = 0x310,
	LAPIC_LVT_TIMER = 0x320, LAPIC_LVT_LINT0 = 0x350,
	LAPIC_TIMER_INITIAL = 0x380, LAPIC_TIMER_CURRENT = 0x390, LAPIC_TIMER_DIVIDE = 0x3e0,
	SVR_ENABLE = 0x100, LVT_MASKED = 0x10000, LVT_PERIODIC = 0x20000, DIVIDE_BY_16 = 3, ICR_PENDING = 0x1000,

	IOAPIC_SELECT = 0x00, IOAPIC_WINDOW = 0x10, IOAPIC_REDIRECTION = 0x10, IOAPIC_MASKED = 0x10000,

	PIC1_DATA = 0x21, PIC2_DATA = 0xa1, ISA_LINES = 16,
};

static void (*handlers[VECTORS_USED - VECTOR_ISA])(void);

static volatile u32 *lapic(u32 offset) { return direct(LOCAL_APIC + offset); }

static void io_apic_write(u32 index, u32 value)
{
	*(volatile u32 *)direct(IO_APIC + IOAPIC_SELECT) = index;
	*(volatile u32 *)direct(IO_APIC + IOAPIC_WINDOW) = value;
}

static void local_apic_init(void)
{
	*lapic(LAPIC_SVR) = SVR_ENABLE | VECTOR_SPURIOUS;
	*lapic(LAPIC_LVT_LINT0) = LVT_MASKED;
	*lapic(LAPIC_TIMER_DIVIDE) = DIVIDE_BY_16;
	*lapic(LAPIC_LVT_TIMER) = LVT_MASKED;
	*lapic(LAPIC_TIMER_INITIAL) = 0xffffffff;	/* runs, so that time_init can compare */
}

void apic_init(void)
{
	outb(PIC1_DATA, 0xff);
	outb(PIC2_DATA, 0xff);
	local_apic_init();
	for (u32 line = 0; line < ISA_LINES; line++)
		io_apic_write(IOAPIC_REDIRECTION + 2 * line, IOAPIC_MASKED);
}

u32 apic_timer_count(void) { return *lapic(LAPIC_TIMER_CURRENT); }

void apic_timer_start(u32 counts, void (*handler)(void))
{
	handlers[VECTOR_TIMER - VECTOR_ISA] = handler;
	*lapic(LAPIC_LVT_TIMER) = LVT_PERIODIC | VECTOR_TIMER;
	*lapic(LAPIC_TIMER_INITIAL) = counts;
}

#if CONFIG_SMP
void apic_init_processor(void) { local_apic_init(); }
u8 apic_id(void) { return *lapic(LAPIC_ID) >> 24; }
u32 apic_timer_period(void) { return *lapic(LAPIC_TIMER_INITIAL); }
void apic_end_of_interrupt(void) { *lapic(LAPIC_EOI) = 0; }

/* The interrupt command register's halves belong together, so interrupts are off between them (SDM vol. 3A 11.6.1). */
void apic_send(u8 apic_id, u32 message)
{
	u64 flags = irq_save();
	while (*lapic(LAPIC_ICR_LOW) & ICR_PENDING)
		__asm__ volatile("pause");
	*lapic(LAPIC_ICR_HIGH) = (u32)apic_id << 24;
	*lapic(LAPIC_ICR_LOW) = message;
	irq_restore(flags);
}
#endif

int apic_interrupt_in_service(void)
{
	for (int word = 7; word >= 0; word--) {
		u32 bits = *lapic(LAPIC_ISR + 16 * word);
		if (bits)
			return 32 * word + 31 - __builtin_clz(bits);
	}
	return -1;
}

/* Edge-triggered, active high, to this processor: what ISA devices are, without an override in the MADT. */
void interrupt_register(u8 isa_line, void (*handler)(void))
{
	handlers[isa_line] = handler;
	io_apic_write(IOAPIC_REDIRECTION + 2 * isa_line + 1, 0);
	io_apic_write(IOAPIC_REDIRECTION + 2 * isa_line, VECTOR_ISA + isa_line);
}

#if CONFIG_PCI
static struct { void (*handler)(void *); void *argument; } device_handlers[VECTORS_USED - VECTOR_DEVICE];

u8 interrupt_allocate(void (*handler)(void *), void *argument)
{
	for (u8 i = 0; i < ARRAY_SIZE(device_handlers); i++) {
		if (!device_handlers[i].handler) {
			device_handlers[i].argument = argument;
			device_handlers[i].handler = handler;
			return VECTOR_DEVICE + i;
		}
	}
	return 0;
}
#endif

void interrupt_dispatch(u64 vector)
{
	*lapic(LAPIC_EOI) = 0;
#if CONFIG_PCI
	if (vector >= VECTOR_DEVICE) {
		u64 i = vector - VECTOR_DEVICE;
		if (device_handlers[i].handler)		/* else a ring-0 application executed INT */
			device_handlers[i].handler(device_handlers[i].argument);
		return;
	}
#endif
	if (handlers[vector - VECTOR_ISA])
		handlers[vector - VECTOR_ISA]();
}
