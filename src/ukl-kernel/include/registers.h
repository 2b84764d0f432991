/* Constants that assembly and C share: control registers, MSRs, selectors, offsets in structures. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "config.h"

/* Control registers and MSRs (SDM vol. 3A 2.5, vol. 4). */
#define CR0_VALUE		0x80010033	/* PG, WP, NE, ET, MP, PE */
#define CR0_PROTECTED		0x00000033	/* without PG and WP */
#define BOOT_CR4		0x00000020	/* PAE */
#define CR4_VALUE		0x000006a0	/* OSXMMEXCPT, OSFXSR, PGE, PAE */
#define CR4_PCIDE		0x00020000
#define CPUID_1_ECX_PCID	0x00020000
#define IA32_EFER		0xc0000080
#define EFER_VALUE		0x00000901	/* NXE, LME, SCE */
#define IA32_STAR		0xc0000081
#define IA32_LSTAR		0xc0000082
#define IA32_FMASK		0xc0000084
#define IA32_FS_BASE		0xc0000100
#define IA32_GS_BASE		0xc0000101
#define IA32_KERNEL_GS_BASE	0xc0000102
#define RFLAGS_FIXED		0x002
#define RFLAGS_TF		0x100
#define RFLAGS_IF		0x200
#define RFLAGS_DF		0x400
#define RFLAGS_NT		0x4000
#define RFLAGS_AC		0x40000

/* Selectors. SYSCALL and SYSRET fix the order of the four segments (SDM vol. 3A 5.8.8). */
#define BOOT_CS		0x08	/* 32-bit code */
#define KERNEL_CS	0x10
#define KERNEL_SS	0x18
#define USER_SS		0x23
#define USER_CS		0x2b
#define TSS_SELECTOR	0x30

/* Interrupt stack table (SDM vol. 3A 6.14.5): which entry each vector uses. */
#define IST_FAULT		1	/* exceptions and interrupts, with FAULT_STACK_IST */
#define IST_DOUBLE_FAULT	2
#define IST_FATAL		3	/* NMI and machine check */

/* Vectors. 20h-2Fh are the ISA lines, through the I/O APIC. */
#define VECTOR_ISA	0x20
#define VECTOR_TIMER	0x30
#if CONFIG_SMP
#define VECTOR_WAKE	0x31	/* from other processors: smp/messages.c */
#define VECTOR_FLUSH	0x32
#endif
#if CONFIG_PCI
#define VECTOR_DEVICE	0x40	/* from here on: messages of PCI functions (MSI-X) */
#define VECTORS_USED	0x50
#elif CONFIG_SMP
#define VECTORS_USED	0x33
#else
#define VECTORS_USED	0x31
#endif
#define VECTOR_SPURIOUS	0xff
#define SYSTEM_CALL_VECTOR 0x100

#define SYSTEM_CALLS_MAX 512	/* numbers are below it */
#define SYS_EMPTY	511	/* the empty call, which Linux does not have */
#ifdef __ASSEMBLER__
#define ERESTARTSYS	512	/* errno.h */
#define ERESTARTNOHAND	514
#endif

/* struct registers */
#define FRAME_R11	48
#define FRAME_AX	80
#define FRAME_CX	88
#define FRAME_VECTOR	120
#define FRAME_ERROR	128
#define FRAME_RIP	136
#define FRAME_CS	144
#define FRAME_FLAGS	152
#define FRAME_RSP	160
#define FRAME_SIZE	176

/* struct percpu */
#define PERCPU_CURRENT		8
#define PERCPU_KERNEL_STACK	16
#define PERCPU_SCRATCH		24
#define PERCPU_KERNEL_CR3	32
#define PERCPU_USER_CR3		40
#define PERCPU_WORK		48
#define PERCPU_SYSTEM_CALLS	56
#define PERCPU_LOCKED		72
#define PERCPU_FLUSH		80
#define PERCPU_ENTRY_STACK	88
#define PERCPU_SIZE_SHIFT	7	/* with CONFIG_SMP: 128 bytes each */

/* struct thread */
#define THREAD_KERNEL_RSP	0
#define THREAD_FRAME		16

/* Bytes. The entry stack serves KPTI only. */
#define KERNEL_STACK_SIZE	16384
#define ENTRY_STACK_SIZE	512

/* The page below 1 MiB where processors begin; the boot loader's tables have been read by then. */
#define TRAMPOLINE		0x8000

#endif
