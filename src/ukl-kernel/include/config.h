/*
 * How this kernel and its application are linked. `ukl-emu build` passes these with -D; the defaults are a
 * plain ring-3 kernel. Assembly includes this file too.
 */
#ifndef CONFIG_H
#define CONFIG_H

#define LINK_RING3	0	/* every process at CPL 3; SYSCALL and SYSRET */
#define LINK_KML	1	/* every process at CPL 0, unmodified; SYSCALL, and a jump back */
#define LINK_ZPOLINE	2	/* CPL 0, SYSCALL rewritten to call *%rax, through the trampoline page */
#define LINK_UKL	3	/* linked with the kernel; a call to the entry code */
#define LINK_UKL_BYP	4	/* linked; a call past entry and exit work */
#define LINK_SHORTCUT	5	/* linked; chosen calls are calls of the kernel's own functions */

#ifndef LINK_MODE
#define LINK_MODE LINK_RING3
#endif
/* Applications run at CPL 0 / the application is part of the kernel's image. */
#define RING0_APPLICATION	(LINK_MODE != LINK_RING3)
#define LINKED_APPLICATION	(LINK_MODE >= LINK_UKL)

#ifndef KPTI			/* two page tables a process, as page-table isolation has; ring3 only */
#define KPTI 0
#endif
#ifndef PCID			/* with KPTI: keep translations over the CR3 writes (bit 63) */
#define PCID 0
#endif
#ifndef STACK_SWITCH		/* 0: system calls of ring-0 code stay on the application's stack (UKL's NSS) */
#define STACK_SWITCH (LINK_MODE < LINK_UKL_BYP)
#endif
#ifndef FAULT_STACK_IST		/* 0: #PF pushes on the interrupted stack; if unmapped, #DF finds it (UKL's PF_DF) */
#define FAULT_STACK_IST 1
#endif
#ifndef RETURN_RET		/* 1: faults and interrupts return to ring 0 by RET (UKL's RET) */
#define RETURN_RET 0
#endif

/* Parts that are in the kernel only when they are asked for. */
#ifndef CONFIG_DISK		/* virtio disks, and ext2 on them */
#define CONFIG_DISK 0
#endif
#ifndef CONFIG_NET
#define CONFIG_NET 0
#endif
#define CONFIG_PCI (CONFIG_DISK || CONFIG_NET)
#ifndef CONFIG_SMP		/* several processors: smp/ */
#define CONFIG_SMP 0
#endif
#if CONFIG_SMP
#define PROCESSORS_MAX 16
#else
#define PROCESSORS_MAX 1
#endif

#if KPTI && LINK_MODE != LINK_RING3
#error KPTI isolates ring 3 from ring 0: it needs LINK_RING3
#elif !FAULT_STACK_IST && (LINK_MODE == LINK_KML || LINK_MODE == LINK_ZPOLINE)
#error unmodified binaries use the red zone: LINK_KML and LINK_ZPOLINE need FAULT_STACK_IST
#elif !STACK_SWITCH && !LINKED_APPLICATION
#error system calls of unmodified binaries and of ring 3 need a stack of their own: STACK_SWITCH=0 is for linked code
#endif

#endif
