/* The processor: registers saved at entry, control registers, MSRs, ports, interrupts. */
#ifndef ARCH_H
#define ARCH_H

#include "config.h"
#include "types.h"

/* What entry code leaves on the kernel stack; the last five are pushed by the processor (SDM vol. 3A 6.14). */
struct registers {
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 vector;			/* exception or interrupt; SYSTEM_CALL_VECTOR for system calls */
	u64 error;			/* error code; the call's number (the original RAX) for system calls */
	u64 rip, cs, rflags, rsp, ss;
};
#define SYSTEM_CALL_VECTOR 0x100

#define KERNEL_CS	0x10
#define KERNEL_SS	0x18
#define USER_SS		0x23
#define USER_CS		0x2b
#define TSS_SELECTOR	0x30

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

/* arch/apic.c, arch/time.c */
u64 time_now(void);			/* nanoseconds since boot, from the TSC */
u64 time_of_day(void);			/* nanoseconds since 1970, from the RTC at boot and the TSC */
void interrupt_register(u8 isa_line, void (*handler)(void));	/* routes an ISA interrupt through the I/O APIC */
NORETURN void power_off(int status);	/* non-zero status: isa-debug-exit first */
NORETURN void reboot(void);

#endif
