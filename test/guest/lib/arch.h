/* Names and places that every guest test uses: the architecture's, then the test library's own. */
#ifndef ARCH_H
#define ARCH_H

/* Exceptions (SDM vol. 3A table 6-1). */
#define DE 0
#define DB 1
#define NMI 2
#define BP 3
#define OF 4
#define BR 5
#define UD 6
#define NM 7
#define DF 8
#define TS 10
#define NP 11
#define SS_ 12
#define GP 13
#define PF 14
#define MF 16
#define AC 17
#define XM 19
/* Vector of the software interrupt that leaves CPL 3; its gate has DPL 3. */
#define LEAVE 0x80

/* Page-fault error code (SDM vol. 3A figure 4-12). */
#define PF_P 0x01
#define PF_W 0x02
#define PF_U 0x04
#define PF_RSVD 0x08
#define PF_I 0x10
#define PF_PK 0x20

#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_EM 0x00000004
#define CR0_TS 0x00000008
#define CR0_ET 0x00000010
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_AM 0x00040000
#define CR0_NW 0x20000000
#define CR0_CD 0x40000000
#define CR0_PG 0x80000000

#define CR4_VME 0x000001
#define CR4_PVI 0x000002
#define CR4_TSD 0x000004
#define CR4_DE 0x000008
#define CR4_PSE 0x000010
#define CR4_PAE 0x000020
#define CR4_MCE 0x000040
#define CR4_PGE 0x000080
#define CR4_PCE 0x000100
#define CR4_OSFXSR 0x000200
#define CR4_OSXMMEXCPT 0x000400
#define CR4_UMIP 0x000800
#define CR4_LA57 0x001000
#define CR4_FSGSBASE 0x010000
#define CR4_PCIDE 0x020000
#define CR4_OSXSAVE 0x040000
#define CR4_SMEP 0x100000
#define CR4_SMAP 0x200000
#define CR4_PKE 0x400000

#define FLAG_CF 0x00000001
#define FLAG_PF 0x00000004
#define FLAG_AF 0x00000010
#define FLAG_ZF 0x00000040
#define FLAG_SF 0x00000080
#define FLAG_TF 0x00000100
#define FLAG_IF 0x00000200
#define FLAG_DF 0x00000400
#define FLAG_OF 0x00000800
#define FLAG_IOPL 0x00003000
#define FLAG_NT 0x00004000
#define FLAG_RF 0x00010000
#define FLAG_VM 0x00020000
#define FLAG_AC 0x00040000
#define FLAG_VIF 0x00080000
#define FLAG_VIP 0x00100000
#define FLAG_ID 0x00200000

#define IA32_APIC_BASE 0x1b
#define IA32_SYSENTER_CS 0x174
#define IA32_SYSENTER_ESP 0x175
#define IA32_SYSENTER_EIP 0x176
#define IA32_PAT 0x277
#define IA32_TSC_DEADLINE 0x6e0
#define IA32_EFER 0xc0000080
#define IA32_STAR 0xc0000081
#define IA32_LSTAR 0xc0000082
#define IA32_FMASK 0xc0000084
#define IA32_FS_BASE 0xc0000100
#define IA32_GS_BASE 0xc0000101
#define IA32_KERNEL_GS_BASE 0xc0000102
#define IA32_TSC_AUX 0xc0000103
#define EFER_SCE 0x001
#define EFER_LME 0x100
#define EFER_LMA 0x400
#define EFER_NXE 0x800

/* Paging-structure entries (SDM vol. 3A tables 4-15 to 4-20). */
#define PTE_P 0x001
#define PTE_W 0x002
#define PTE_U 0x004
#define PTE_A 0x020
#define PTE_D 0x040
#define PTE_PS 0x080
#define PTE_G 0x100

/* Segment descriptor attributes: descriptor bits 40-55 (SDM vol. 3A figure 3-8). */
#define SEG_P 0x0080
#define SEG_DPL3 0x0060
#define SEG_DPL2 0x0040
#define SEG_DPL1 0x0020
#define SEG_S 0x0010
#define SEG_CODE 0x0008
#define SEG_RW 0x0002
#define SEG_DC 0x0004 /* expand-down or conforming */
#define SEG_A 0x0001
#define SEG_L 0x2000
#define SEG_D 0x4000
#define SEG_G 0x8000

/*
 * The GDT (boot.S). The order is what SYSCALL (STAR[47:32] = KERNEL_CS64), SYSRET (STAR[63:48] = USER_CS32)
 * and SYSENTER (IA32_SYSENTER_CS = KERNEL_CS64 from 64-bit code) ask for.
 */
#define KERNEL_CS32 0x08
#define KERNEL_CS64 0x10
#define KERNEL_DS 0x18
#define USER_CS32 0x23
#define USER_DS 0x2b
#define USER_CS64 0x33
#define USER_DS2 0x3b
#define KERNEL_CS16 0x40
#define KERNEL_DS16 0x48
#define TSS_SELECTOR 0x50
#define LDT_SELECTOR 0x60
/* Free descriptors for a test's own use, up to GDT_END. */
#define FREE_SELECTOR 0x70
#define GDT_END 0x200

/* Ports. */
#define COM1 0x3f8
#define DEBUG_EXIT 0xf4

/* Where boot.S maps what in 64-bit mode; each range is 1 GiB of 2-MiB pages. */
#define USER_ALIAS 0x40000000 /* the same memory with U/S = 1 */
#define SCRATCH 0x80000000    /* 4-KiB pages that tests map for themselves: `scratch_pt` */

/*
 * `event`: what the last exception or interrupt found and pushed (exceptions.S). Quadwords; 32-bit code uses
 * the low halves.
 */
#define EV_VECTOR 0x00
#define EV_ERROR 0x08
#define EV_RIP 0x10
#define EV_CS 0x18
#define EV_RFLAGS 0x20
#define EV_RSP 0x28
#define EV_SS 0x30
#define EV_CR2 0x38
#define EV_FRAME 0x40 /* RSP as the handler finds it: address of the last thing pushed */
#define EV_COUNT 0x48
#define EV_CODE 0x50 /* vector, offset and error code in one number: EVENT() */
#define EV_SIZE 0x58

/*
 * An event in one number, for a line of output: vector in bits 20-27, offset of the saved RIP from the
 * marked instruction in bits 16-19, error code in bits 0-15.
 */
#define EVENT(vector, error, offset) (((vector) << 20) | ((offset) << 16) | (error))
#define NO_EVENT 0x7fffffff

#endif
