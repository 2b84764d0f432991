/*
 * The mechanisms image: what each way from ring 3 to ring 0 and back costs by itself, and what one or two CR3
 * writes add, with and without PCID. Prints ticks of the time-stamp counter on COM1 and powers the machine off.
 * `ukl-emu measure` takes its own figures between the markers.
 */
#include "../include/types.h"
#include "selectors.h"

enum {
	COM1 = 0x3f8, UART_DLM = 1, UART_FCR = 2, UART_LCR = 3, UART_MCR = 4, UART_LSR = 5,
	LCR_8N1 = 0x03, LCR_DLAB = 0x80, FCR_ENABLE_CLEAR = 0x07, MCR_DTR_RTS = 0x03, LSR_THRE = 0x20,
	PM1A_CONTROL = 0x604, SLP_EN = 1 << 13,		/* ACPI, as this project's and QEMU's machines have it */
	POST = 0x80, DEBUG_EXIT = 0xf4,

	IA32_SYSENTER_CS = 0x174, IA32_SYSENTER_ESP, IA32_SYSENTER_EIP,
	IA32_STAR = 0xc0000081, IA32_LSTAR = 0xc0000082, IA32_FMASK = 0xc0000084,

	CPUID_SEP = 1 << 11, CPUID_PCID = 1 << 17,	/* leaf 1: EDX, ECX */
	CR4_PCIDE = 1 << 17,
	WARM_UP = 2, ROUNDS = 8,
};
#define CR3_NO_FLUSH (1UL << 63)			/* SDM vol. 3A 4.10.4.1 */
#define USER_PCID 1UL

typedef void way_t(const char *name, u64 writes, u64 cr3_on_entry, u64 cr3_on_exit);
typedef void handler_t(void);

/* ways.S, boot.S */
extern way_t way_nothing, way_call_0, way_call_1, way_call_2, way_int_0, way_int_1, way_int_2, way_gate_0,
	way_gate_1, way_gate_2, way_syscall, way_sysenter;
extern handler_t exit_int_0, entry_int_1, entry_int_2, exit_gate_0, entry_gate_1, entry_gate_2,
	exit_syscall_0, entry_syscall_1, entry_syscall_2, exit_sysenter_0, entry_sysenter_1, entry_sysenter_2,
	service_wrmsr;
extern char exception_stubs[], kernel_stack_top[], pml4[];
extern u64 gdt[];
extern volatile u64 elapsed;
NORETURN void enter_ring3(void (*to)(void));

static struct { u32 reserved, rsp0_low, rsp0_high, rest[23]; } tss;	/* SDM vol. 3A 7.7, 104 bytes */
static struct { u64 low, high; } idt[256];
static bool has_pcid, has_sysenter;

/* ---- Console ---- */

static inline void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outw(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 inb(u16 port)
{
	u8 value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void serial_init(void)
{
	outb(COM1 + 1, 0);
	outb(COM1 + UART_LCR, LCR_DLAB);
	outb(COM1, 1);
	outb(COM1 + UART_DLM, 0);
	outb(COM1 + UART_LCR, LCR_8N1);
	outb(COM1 + UART_FCR, FCR_ENABLE_CLEAR);
	outb(COM1 + UART_MCR, MCR_DTR_RTS);
}

static void put_char(char c)
{
	while (!(inb(COM1 + UART_LSR) & LSR_THRE))
		__asm__ volatile("pause");
	outb(COM1, c);
}

/* Padded to `width` columns. */
static void put_string(const char *s, int width)
{
	for (; *s; s++, width--) {
		if (*s == '\n')
			put_char('\r');
		put_char(*s);
	}
	while (width-- > 0)
		put_char(' ');
}

static void put_number(u64 value, u64 base, int width)
{
	char digits[24], *at = digits + sizeof(digits);

	*--at = 0;
	do {
		*--at = "0123456789abcdef"[value % base];
		width--;
	} while (value /= base);
	while (width-- > 0)
		put_char(' ');
	put_string(at, 0);
}

static NORETURN void power_off(void)
{
	outw(PM1A_CONTROL, SLP_EN);
	/* QEMU acts on the write a little later. */
	for (int i = 0; i < 100000; i++)
		outb(POST, 0);
	for (;;)
		outb(DEBUG_EXIT, 0);
}

/* From exception_stubs. */
NORETURN void exception(u64 vector, u64 error, u64 rip)
{
	put_string("\nmechanisms: exception ", 0);
	put_number(vector, 10, 0);
	put_string(", error code 0x", 0);
	put_number(error, 16, 0);
	put_string(", at 0x", 0);
	put_number(rip, 16, 0);
	put_string("\n", 0);
	power_off();
}

/* ---- Tables ---- */

static inline void wrmsr(u32 index, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)));
}

static void wrmsr_by_service(u32 index, u64 value)
{
	__asm__ volatile("int %0" : : "i"(WRMSR_VECTOR), "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
			 : "memory");
}

/* SDM vol. 3A 6.14.1 and 5.8.3.1: interrupt gates and call gates of 64-bit mode. */
static void set_gate(u64 *gate, const void *handler, u64 type, u64 level)
{
	u64 address = (u64)handler;

	gate[0] = (address & 0xffff) | KERNEL_CS << 16 | (0x80 | level << 5 | type) << 40 |
		  (address >> 16 & 0xffff) << 48;
	gate[1] = address >> 32;
}

static void set_interrupt(int vector, const void *handler, u64 level)
{
	set_gate(&idt[vector].low, handler, 0xe, level);
}

static void tables_init(void)
{
	static handler_t *const interrupts[] = { exit_int_0, entry_int_1, entry_int_2 };
	static handler_t *const gates[] = { exit_gate_0, entry_gate_1, entry_gate_2 };
	struct __attribute__((packed)) { u16 limit; u64 base; } idtr = { sizeof(idt) - 1, (u64)idt };
	u64 base = (u64)&tss;

	for (int vector = 0; vector < 32; vector++)
		set_interrupt(vector, exception_stubs + 16 * vector, 0);
	for (int n = 0; n < 3; n++) {
		set_interrupt(INTERRUPT_VECTOR + n, interrupts[n], 3);
		set_gate(&gdt[GATE_SELECTOR / 8 + 2 * n], gates[n], 0xc, 3);
	}
	set_interrupt(WRMSR_VECTOR, service_wrmsr, 3);
	__asm__ volatile("lidt %0" : : "m"(idtr));

	tss.rsp0_low = (u32)(u64)kernel_stack_top;
	gdt[TSS_SELECTOR / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89UL << 40 | (base >> 24 & 0xff) << 56;
	gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));

	wrmsr(IA32_STAR, (u64)KERNEL_CS << 32 | (u64)USER_BASE << 48);
	wrmsr(IA32_FMASK, 0x700);
	if (has_sysenter) {
		wrmsr(IA32_SYSENTER_CS, KERNEL_CS);
		wrmsr(IA32_SYSENTER_ESP, (u64)kernel_stack_top);
	}
}

/* SYSENTER raises #UD in the 64-bit mode of AMD's processors: only Intel's are asked. */
static void features_init(void)
{
	u32 eax = 0, ebx, ecx, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	bool is_intel = ebx == 0x756e6547;	/* "Genu" */
	eax = 1;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	has_sysenter = is_intel && edx & CPUID_SEP;
	has_pcid = ecx & CPUID_PCID;
	if (has_pcid) {
		u64 cr4;
		__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
		__asm__ volatile("movq %0, %%cr4" : : "r"(cr4 | CR4_PCIDE));
	}
}

/* ---- Measuring ---- */

static void report(const char *name, u64 writes, const u64 *ticks)
{
	u64 sorted[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		int at = i;
		for (; at > 0 && sorted[at - 1] > ticks[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = ticks[i];
	}
	put_string(name, 24);
	put_number(writes, 10, 2);
	put_number(sorted[ROUNDS / 2], 10, 9);
	put_number(sorted[0], 10, 9);
	put_number(sorted[ROUNDS - 1], 10, 9);
	put_string("\n", 0);
}

/* All rounds of one way; `keep`: the CR3 writes keep the translations of their PCIDs. */
static void measure(way_t *way, const char *name, u64 writes, bool keep)
{
	u64 ticks[ROUNDS];
	u64 table = (u64)pml4;
	u64 entry = keep ? table | CR3_NO_FLUSH : table;
	u64 exit = keep ? table | USER_PCID | CR3_NO_FLUSH : table;

	for (int round = -WARM_UP; round < ROUNDS; round++) {
		way(round < 0 ? "" : name, writes, entry, exit);
		if (round >= 0)
			ticks[round] = elapsed;
	}
	report(name, writes, ticks);
}

/* `index`: the MSR that holds the handler's address, 0 where each has a way of its own. */
static void measure_family(const char *name, const char *name_pcid, way_t *const ways[3], u32 index,
			   handler_t *const handlers[3])
{
	for (u64 i = 0; i < (has_pcid ? 5 : 3); i++) {
		u64 writes = i < 3 ? i : i - 2;

		if (index)
			wrmsr_by_service(index, (u64)handlers[writes]);
		measure(ways[writes], i < 3 ? name : name_pcid, writes, i >= 3);
	}
}

static void ring3_main(void)
{
	static way_t *const interrupts[] = { way_int_0, way_int_1, way_int_2 };
	static way_t *const gates[] = { way_gate_0, way_gate_1, way_gate_2 };
	static way_t *const sysenters[] = { way_sysenter, way_sysenter, way_sysenter };
	static way_t *const syscalls[] = { way_syscall, way_syscall, way_syscall };
	static handler_t *const sysenter_handlers[] = { exit_sysenter_0, entry_sysenter_1, entry_sysenter_2 };
	static handler_t *const syscall_handlers[] = { exit_syscall_0, entry_syscall_1, entry_syscall_2 };

	measure_family("INT/IRET", "INT/IRET PCID", interrupts, 0, NULL);
	measure_family("call gate/RETF", "call gate/RETF PCID", gates, 0, NULL);
	if (has_sysenter)
		measure_family("SYSENTER/SYSEXIT", "SYSENTER/SYSEXIT PCID", sysenters, IA32_SYSENTER_EIP,
			       sysenter_handlers);
	measure_family("SYSCALL/SYSRET", "SYSCALL/SYSRET PCID", syscalls, IA32_LSTAR, syscall_handlers);
	put_string("mechanisms: done\n", 0);
	power_off();
}

NORETURN void ring0_main(void)
{
	static way_t *const calls[] = { way_call_0, way_call_1, way_call_2 };

	serial_init();
	features_init();
	tables_init();
	put_string("mechanisms: ticks of the time-stamp counter, the markers' own included\n", 0);
	put_string("mechanism, CR3 writes      median    least     most\n", 0);
	measure(way_nothing, "nothing", 0, false);
	measure_family("CALL/RET", "CALL/RET PCID", calls, 0, NULL);
	if (!has_pcid)
		put_string("no PCID on this processor\n", 0);
	if (!has_sysenter)
		put_string("no SYSENTER in 64-bit mode on this processor\n", 0);
	enter_ring3(ring3_main);
}
