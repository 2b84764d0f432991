/*
 * The processor's tables: segments, the task-state segment with its stacks, the interrupt descriptor table, and
 * the registers that say where SYSCALL goes. What entry code needs before it has left the application's page
 * table (KPTI) lies in .entry_data.
 */
#include "arch.h"
#include "lib.h"
#include "process.h"

#define ENTRY_DATA __attribute__((section(".entry_data"), aligned(16)))
/* One for each processor: where there are many, zeroes that are not in the image's file (kernel.ld). */
#if CONFIG_SMP
#define ENTRY_EACH __attribute__((section(".bss.entry"), aligned(16)))
#else
#define ENTRY_EACH ENTRY_DATA
#endif
#define IST_STACK_SIZE 4096

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 ist[8];		/* [0] is reserved */
	u64 reserved1;
	u16 reserved2, io_map_base;
} __attribute__((packed));

ENTRY_DATA u64 gdt[] = {		/* boot/entry.S uses it too */
	0,
	0x00cf9b000000ffff,	/* 08h BOOT_CS: 32-bit code, DPL 0 */
	0x00af9b000000ffff,	/* 10h KERNEL_CS: 64-bit code, DPL 0 */
	0x00cf93000000ffff,	/* 18h KERNEL_SS: data, DPL 0 */
	0x00cff3000000ffff,	/* 20h USER_SS: data, DPL 3 */
	0x00affb000000ffff,	/* 28h USER_CS: 64-bit code, DPL 3 */
	[TSS_SELECTOR / 8 + 2 * PROCESSORS_MAX - 1] = 0,	/* 30h: TSS, one for each processor */
};
static ENTRY_EACH struct tss tss[PROCESSORS_MAX];
static ENTRY_DATA u64 idt[256][2];
static ENTRY_EACH u8 stacks[PROCESSORS_MAX][IST_FATAL][IST_STACK_SIZE];
#if !CONFIG_SMP			/* else smp/start.c has one for each */
ENTRY_DATA struct percpu percpu0 = { .self = &percpu0 };
#endif
/* With KPTI: what exceptions from ring 3 enter on, and leave from. */
ENTRY_EACH u8 entry_stack[PROCESSORS_MAX][ENTRY_STACK_SIZE];

extern char trap_stubs[], entry_spurious[], entry_syscall[], boot_stack_top[];

/* An interrupt gate (SDM vol. 3A figure 6-8): type 0Eh, present. */
static void gate_set(int vector, const char *entry, u64 ist, u64 dpl)
{
	u64 offset = (u64)entry;
	idt[vector][0] = (offset & 0xffff) | KERNEL_CS << 16 | ist << 32 | (0x8e | dpl << 5) << 40 |
			 (offset >> 16 & 0xffff) << 48;
	idt[vector][1] = offset >> 32;
}

void tss_set_stack(u64 top)
{
	u32 self = processor_index();
	tss[self].rsp[0] = KPTI ? (u64)entry_stack[self] + ENTRY_STACK_SIZE : top;
}

bool pcid_available(void)
{
	u32 a = 1, c = 0;
	__asm__ volatile("cpuid" : "+a"(a), "+c"(c) : : "ebx", "edx");
	return PCID && c & CPUID_1_ECX_PCID;
}

static void vectors_init(void)
{
	u64 ist = RING0_APPLICATION && FAULT_STACK_IST ? IST_FAULT : 0;
	for (int vector = 0; vector < VECTORS_USED; vector++)
		gate_set(vector, trap_stubs + 16 * vector, ist, 0);
	gate_set(2, trap_stubs + 16 * 2, IST_FATAL, 0);
	gate_set(3, trap_stubs + 16 * 3, ist, 3);	/* INT3 */
	gate_set(4, trap_stubs + 16 * 4, ist, 3);	/* INTO has no 64-bit form; INT 4 does */
	gate_set(8, trap_stubs + 16 * 8, IST_DOUBLE_FAULT, 0);
	gate_set(18, trap_stubs + 16 * 18, IST_FATAL, 0);
	gate_set(VECTOR_SPURIOUS, entry_spurious, 0, 0);
}

void processor_init(void)
{
	struct percpu *percpu = processor_starting();
	u64 stack_top = CONFIG_SMP && percpu->idle ? percpu->idle->kernel_stack_top : (u64)boot_stack_top;
	percpu->kernel_stack_top = stack_top;
	wrmsr(IA32_GS_BASE, (u64)percpu);
	wrmsr(IA32_KERNEL_GS_BASE, 0);

	u32 self = processor_index(), selector = TSS_SELECTOR + 16 * self;
#if CONFIG_SMP
	percpu->self = percpu;
	percpu->locked = self == 0;	/* the boot processor begins with the kernel's lock */
	percpu->entry_stack = (u64)entry_stack[self] + ENTRY_STACK_SIZE;
#endif
	tss[self].io_map_base = sizeof(struct tss);
	for (int i = 0; i < IST_FATAL; i++)
		tss[self].ist[i + 1] = (u64)stacks[self][i] + IST_STACK_SIZE;
	tss_set_stack(stack_top);
	u64 base = (u64)&tss[self], *descriptor = &gdt[selector / 8];
	descriptor[0] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 | 0x89UL << 40 | (base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
	if (self == 0)
		vectors_init();

	struct { u16 limit; u64 base; } __attribute__((packed)) pointer = { sizeof(gdt) - 1, (u64)gdt };
	__asm__ volatile("lgdt %0; ltr %w1" : : "m"(pointer), "r"(selector));
	pointer.limit = sizeof(idt) - 1;
	pointer.base = (u64)idt;
	__asm__ volatile("lidt %0" : : "m"(pointer));

	/* No SMEP, no SMAP: where applications run at CPL 0, their pages are user pages all the same. */
	u64 cr4 = CR4_VALUE | (pcid_available() ? CR4_PCIDE : 0);
	__asm__ volatile("movq %0, %%cr4" : : "r"(cr4));

	wrmsr(IA32_STAR, (u64)KERNEL_CS << 32 | (u64)(USER_SS - 8) << 48);
	wrmsr(IA32_LSTAR, (u64)entry_syscall);
	wrmsr(IA32_FMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
}
