/* Clocks: the TSC, measured against the 8254 at boot, and the real-time clock; the scheduler's timer; the end. */
#include "arch.h"
#include "process.h"

#define NANOSECONDS	1000000000UL
#define TICK_HERTZ	100

enum {
	PIT_HERTZ = 1193182, PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43,
	PIT_CHANNEL2_ONE_SHOT = 0xb0,	/* channel 2, low byte then high byte, mode 0: OUT rises at zero */
	SYSTEM_CONTROL_B = 0x61, GATE2 = 1, SPEAKER = 2, OUT2 = 0x20,
	CALIBRATION_TICKS = 199, CALIBRATIONS = 3,	/* of the 8254: a sixth of a millisecond */

	RTC_INDEX = 0x70, RTC_DATA = 0x71,
	RTC_SECONDS = 0, RTC_MINUTES = 2, RTC_HOURS = 4, RTC_DAY = 7, RTC_MONTH = 8, RTC_YEAR = 9, RTC_A = 10,
	RTC_UPDATE = 0x80,

	/* ACPI PM1a control: where both of QEMU's PC machines and ukl-emu have it; \_S5 is SLP_TYP 0 in both. */
	PM1A_CONTROL = 0x604, SLP_TYP_S5 = 0 << 10, SLP_EN = 1 << 13,
	RESET_CONTROL = 0xcf9, RESET_SYSTEM = 6,
};

static u64 boot_tsc, boot_time;		/* boot_time: ns since 1970 */
static u64 ns_per_cycle;		/* fixed point, 32 fraction bits */

/*
 * TSC and local APIC timer over the same interval of the 8254's channel 2. An emulator may lose the processor in
 * the middle, which only makes an interval longer: the shortest counts. Returns the timer's counts in a tick.
 */
static u32 calibrate(void)
{
	u64 cycles = ~0UL, counts = 0;
	outb(SYSTEM_CONTROL_B, (inb(SYSTEM_CONTROL_B) & ~SPEAKER) | GATE2);
	for (int i = 0; i < CALIBRATIONS; i++) {
		outb(PIT_COMMAND, PIT_CHANNEL2_ONE_SHOT);
		outb(PIT_CHANNEL2, CALIBRATION_TICKS & 0xff);
		outb(PIT_CHANNEL2, CALIBRATION_TICKS >> 8);
		u64 tsc = rdtsc();
		u32 count = apic_timer_count();
		while (!(inb(SYSTEM_CONTROL_B) & OUT2))
			;
		tsc = rdtsc() - tsc;
		if (tsc < cycles) {
			cycles = tsc;
			counts = count - apic_timer_count();
		}
	}
	ns_per_cycle = (CALIBRATION_TICKS * NANOSECONDS / PIT_HERTZ << 32) / MAX(cycles, 1UL);
	return (u32)(counts * PIT_HERTZ / CALIBRATION_TICKS / TICK_HERTZ);
}

static u32 rtc_read(u8 index)
{
	outb(RTC_INDEX, index);
	return inb(RTC_DATA);
}

/* Numbers are binary-coded decimals, hours 0 to 23: so PC firmware sets the clock up. */
static u64 rtc_number(u8 index)
{
	u32 value = rtc_read(index);
	return (value >> 4) * 10 + (value & 15);
}

static u64 rtc_seconds(void)
{
	while (rtc_read(RTC_A) & RTC_UPDATE)
		;
	/* Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that leap days end them. */
	u64 year = 2000 + rtc_number(RTC_YEAR), month = rtc_number(RTC_MONTH);
	if (month < 3) {
		year--;
		month += 12;
	}
	u64 days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + rtc_number(RTC_DAY) -
		   719469;
	return days * 86400 + rtc_number(RTC_HOURS) * 3600 + rtc_number(RTC_MINUTES) * 60 + rtc_number(RTC_SECONDS);
}

void time_init(void)
{
	u32 counts = calibrate();
	boot_tsc = rdtsc();
	boot_time = rtc_seconds() * NANOSECONDS;
	apic_timer_start(counts, scheduler_tick);
}

u64 time_now(void)
{
	return (u64)((unsigned __int128)(rdtsc() - boot_tsc) * ns_per_cycle >> 32);
}

u64 time_of_day(void) { return boot_time + time_now(); }

/* The end of power_off and reboot too: QEMU acts on their writes a little later, when its main loop runs. */
void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void power_off(int status)
{
	serial_drain();
	if (status)
		outb(DEBUG_EXIT_PORT, (u8)status);
	outw(PM1A_CONTROL, SLP_TYP_S5 | SLP_EN);
	halt();
}

void reboot(void)
{
	serial_drain();
	outb(RESET_CONTROL, RESET_SYSTEM);
	halt();
}
