/* Clocks: the TSC, measured against the 8254 at boot, and the real-time clock; the scheduler's timer; the end. */
#include "arch.h"
#include "mm.h"

#define NANOSECONDS	1000000000UL
#define TICK_HERTZ	100

enum {
	PIT_HERTZ = 1193182, PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43,
	PIT_CHANNEL2_ONE_SHOT = 0xb0,	/* channel 2, low byte then high byte, mode 0: OUT rises at zero */
	SYSTEM_CONTROL_B = 0x61, GATE2 = 1, SPEAKER = 2, OUT2 = 0x20,
	CALIBRATION_TICKS = 199, CALIBRATIONS = 3,	/* of the 8254: a sixth of a millisecond */

	RTC_INDEX = 0x70, RTC_DATA = 0x71,
	RTC_SECONDS = 0, RTC_MINUTES = 2, RTC_HOURS = 4, RTC_DAY = 7, RTC_MONTH = 8, RTC_YEAR = 9, RTC_A = 10, RTC_B = 11,
	RTC_UPDATE = 0x80, RTC_24_HOURS = 2, RTC_BINARY = 4, RTC_PM = 0x80,

	/* ACPI PM1a control: where both of QEMU's PC machines and ukl-emu have it; \_S5 is SLP_TYP 0 in both. */
	PM1A_CONTROL = 0x604, SLP_TYP_S5 = 0 << 10, SLP_EN = 1 << 13,
	POST = 0x80,		/* writes go nowhere and take about a microsecond */
	RESET_CONTROL = 0xcf9, RESET_SYSTEM = 6,
	KEYBOARD_COMMAND = 0x64, KEYBOARD_RESET = 0xfe,
};

static u64 boot_tsc, boot_time;		/* boot_time: ns since 1970 */
static u64 ns_per_cycle;		/* fixed point, 32 fraction bits */

struct interval { u64 cycles; u32 counts; };

/* TSC and local APIC timer over the same interval of the 8254's channel 2. */
static struct interval measure_interval(void)
{
	outb(PIT_COMMAND, PIT_CHANNEL2_ONE_SHOT);
	outb(PIT_CHANNEL2, CALIBRATION_TICKS & 0xff);
	outb(PIT_CHANNEL2, CALIBRATION_TICKS >> 8);
	u64 tsc = rdtsc();
	u32 count = apic_timer_count();
	while (!(inb(SYSTEM_CONTROL_B) & OUT2))
		;
	return (struct interval){ rdtsc() - tsc, count - apic_timer_count() };
}

/* An emulator may lose the processor in the middle, which only makes an interval longer: the shortest counts. */
static void calibrate(void)
{
	outb(SYSTEM_CONTROL_B, (inb(SYSTEM_CONTROL_B) & ~SPEAKER) | GATE2);
	struct interval best = measure_interval();
	for (int i = 1; i < CALIBRATIONS; i++) {
		struct interval next = measure_interval();
		if (next.cycles < best.cycles)
			best = next;
	}
	u64 interval = CALIBRATION_TICKS * NANOSECONDS / PIT_HERTZ;
	ns_per_cycle = (interval << 32) / MAX(best.cycles, 1);
	apic_timer_calibrated((u32)((u64)best.counts * PIT_HERTZ / CALIBRATION_TICKS));
}

static u32 rtc_read(u8 index)
{
	outb(RTC_INDEX, index);
	return inb(RTC_DATA);
}

static u32 rtc_number(u32 value, u32 format)
{
	return format & RTC_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar; years begin in March, so that leap days end them. */
static u64 days_since_1970(u32 year, u32 month, u32 day)
{
	if (month < 3) {
		year--;
		month += 12;
	}
	return 365UL * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1 - 719468;
}

static u64 rtc_seconds(void)
{
	while (rtc_read(RTC_A) & RTC_UPDATE)
		;
	u32 format = rtc_read(RTC_B), hour = rtc_read(RTC_HOURS);
	bool pm = !(format & RTC_24_HOURS) && hour & RTC_PM;
	hour = rtc_number(hour & (format & RTC_24_HOURS ? 0xff : 0x7f), format);
	if (!(format & RTC_24_HOURS))
		hour = hour % 12 + (pm ? 12 : 0);
	u64 days = days_since_1970(2000 + rtc_number(rtc_read(RTC_YEAR), format), rtc_number(rtc_read(RTC_MONTH), format),
				   rtc_number(rtc_read(RTC_DAY), format));
	return days * 86400 + hour * 3600 + rtc_number(rtc_read(RTC_MINUTES), format) * 60 +
	       rtc_number(rtc_read(RTC_SECONDS), format);
}

void time_init(void)
{
	calibrate();
	boot_tsc = rdtsc();
	boot_time = rtc_seconds() * NANOSECONDS;
	apic_timer_start(TICK_HERTZ);
}

u64 time_now(void)
{
	return (u64)((unsigned __int128)(rdtsc() - boot_tsc) * ns_per_cycle >> 32);
}

u64 time_of_day(void) { return boot_time + time_now(); }

void power_off(int status)
{
	irq_disable();
	serial_drain();
	if (status)
		outb(DEBUG_EXIT_PORT, (u8)status);
	outw(PM1A_CONTROL, SLP_TYP_S5 | SLP_EN);
	/* QEMU acts on the write a little later, when its main loop runs. */
	for (;;)
		__asm__ volatile("cli; hlt");
}

void reboot(void)
{
	irq_disable();
	serial_drain();
	outb(RESET_CONTROL, RESET_SYSTEM);
	outb(KEYBOARD_COMMAND, KEYBOARD_RESET);
	for (int i = 0; i < 100000; i++)
		outb(POST, 0);
	/* An empty IDT turns any exception into a triple fault. */
	struct { u16 limit; u64 base; } __attribute__((packed)) empty = { 0, 0 };
	__asm__ volatile("lidt %0; int3" : : "m"(empty));
	for (;;)
		__asm__ volatile("hlt");
}
