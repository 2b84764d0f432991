/* The processor: registers saved at entry, control registers, MSRs, ports, interrupts. */
#ifndef ARCH_H
#define ARCH_H

#include "config.h"
#include "registers.h"
#include "types.h"

/* What entry code leaves on the kernel stack; the last five are pushed by the processor (SDM vol. 3A 6.14). */
struct registers {
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 vector;			/* exception or interrupt; SYSTEM_CALL_VECTOR for system calls */
	u64 error;			/* error code; the call's number (the original RAX) for system calls */
	u64 rip, cs, rflags, rsp, ss;
};
static inline void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outw(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outl(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 inb(u16 port)
{
	u8 value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static inline u16 inw(u16 port)
{
	u16 value;
	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static inline u32 inl(u16 port)
{
	u32 value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static inline void wrmsr(u32 index, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}
static inline u64 rdtsc(void)
{
	u32 low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}
static inline u64 irq_save(void)
{
	u64 flags;
	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}
static inline void irq_restore(u64 flags)
{
	__asm__ volatile("pushq %0; popfq" : : "r"(flags) : "memory", "cc");
}
static inline void irq_enable(void) { __asm__ volatile("sti" : : : "memory"); }
static inline void irq_disable(void) { __asm__ volatile("cli" : : : "memory"); }

/*
 * An application's RIP that it chose itself. IRETQ to a non-canonical one faults at CPL 0, in the kernel
 * (SDM vol. 2A, IRET): an address that faults in the application stands in for it.
 */
static inline u64 canonical_rip(u64 rip) { return (u64)((s64)(rip << 16) >> 16) == rip ? rip : 0x7ffffffff000; }
#define READ_REGISTER(name) \
	static inline u64 read_##name(void) \
	{ \
		u64 value; \
		__asm__ volatile("movq %%" #name ", %0" : "=r"(value)); \
		return value; \
	}
READ_REGISTER(cr2)
READ_REGISTER(cr3)
static inline void write_cr3(u64 value) { __asm__ volatile("movq %0, %%cr3" : : "r"(value) : "memory"); }
static inline void invlpg(u64 address) { __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory"); }

/*
 * Kernel code that runs on the application's stack (STACK_SWITCH=0, shortcuts) must not fault on it in the middle
 * of the page allocator: this touches what it may need, before it begins.
 */
#define STACK_PROBE_SIZE 12288
static inline void stack_probe(void)
{
	__asm__ volatile("testb %%al, -4096(%%rsp); testb %%al, -8192(%%rsp); testb %%al, -12288(%%rsp)" : : : "cc");
}

/* arch/descriptors.c: GDT, TSS, IDT, MSRs of system calls, control registers. */
void processor_init(void);
bool pcid_available(void);		/* the build asks for PCIDs, and the processor has them */
void tss_set_stack(u64 top);		/* the stack that exceptions from ring 3 enter on */

/* arch/traps.c: the exception, where, and for page faults the access. */
void exception_describe(const struct registers *frame, u64 address, char *text, size_t size);
/* Whether `frame` was taken in the application (ring 3 or ring 0), not in the kernel. */
bool from_application(const struct registers *frame);

/* arch/apic.c, arch/time.c. Physical addresses of the controllers' registers. */
#define IO_APIC		0xfec00000UL
#define LOCAL_APIC	0xfee00000UL
void apic_init(void);
int apic_interrupt_in_service(void);	/* the highest vector in service; -1: none */
void apic_timer_start(u32 counts, void (*handler)(void));	/* periodic, at VECTOR_TIMER */
u32 apic_timer_count(void);		/* what is left of the current count; counts down */
/* With CONFIG_SMP: */
void apic_init_processor(void);		/* of a further processor */
u8 apic_id(void);
u32 apic_timer_period(void);		/* counts, as they were given to apic_timer_start() */
void apic_end_of_interrupt(void);
enum { APIC_NMI = 0x400, APIC_INIT = 0x4500, APIC_STARTUP = 0x4600 };	/* for apic_send: delivery mode, level */
void apic_send(u8 apic_id, u32 message);	/* a vector, or one of these */
void interrupt_dispatch(u64 vector);	/* ends the interrupt and calls its handler */
void time_init(void);
u64 time_now(void);			/* nanoseconds since boot, from the TSC */
u64 time_of_day(void);			/* nanoseconds since 1970, from the RTC at boot and the TSC */
void interrupt_register(u8 isa_line, void (*handler)(void));	/* routes an ISA interrupt through the I/O APIC */
/*
 * With CONFIG_PCI: gives an interrupt vector to a device, for good; it calls handler(argument), with interrupts off.
 * 0: all are given.
 */
u8 interrupt_allocate(void (*handler)(void *argument), void *argument);
#define DEBUG_EXIT_PORT 0xf4		/* QEMU's isa-debug-exit: ends with status value * 2 + 1 */
NORETURN void power_off(int status);	/* non-zero status: isa-debug-exit first */
NORETURN void reboot(void);
NORETURN void halt(void);

#endif
