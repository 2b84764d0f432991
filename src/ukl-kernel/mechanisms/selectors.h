/*
 * Segment selectors, as SYSCALL, SYSRET, SYSENTER and SYSEXIT demand them: SYSCALL loads CS and CS + 8; SYSRET
 * to 64-bit mode loads SS = base + 8 and CS = base + 16 of IA32_STAR's upper field; SYSENTER loads CS and
 * CS + 8 of IA32_SYSENTER_CS, and SYSEXIT to 64-bit mode CS + 32 and CS + 40.
 */
#ifndef SELECTORS_H
#define SELECTORS_H

#define KERNEL_CS	0x10
#define KERNEL_SS	0x18
#define USER_BASE	0x23	/* for SYSRET; AMD processors take the RPL from here */
#define USER_SS		0x2b
#define USER_CS		0x33
#define TSS_SELECTOR	0x40
#define GATE_SELECTOR	0x50	/* the first of three, 16 bytes each */

#define INTERRUPT_VECTOR 0x80	/* the first of three */
#define WRMSR_VECTOR	0x90	/* runs WRMSR with ring 3's registers */

#endif
