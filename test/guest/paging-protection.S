/* Supervisor-mode access and execution prevention, protection keys (SDM vol. 3A 4.6). RBP = page 1. */
#include "lib/test64.h"
#include "lib/paging.h"

        .text
        .code64
        .globl  main64
main64: movl    $PAGE(1), %ebp
        movb    $0xc3, free_pages + 4096        /* RET */
        READ_MSR IA32_EFER
        orl     $EFER_NXE, %eax
        movq    %rax, %rdx
        shrq    $32, %rdx
        wrmsr
        call    smep
        call    smap
        call    protection_keys
        ret

smep:   NEEDS   7, ebx, 7, 1f
        SET_CR  cr4, CR4_SMEP
        MAP     1, PTE_P+PTE_U
        TRY     call *%rbp
        EQ      "SMEP: a supervisor fetch from a user page: P, I/D", event+EV_ERROR, $PF_P+PF_I
        TRY     movl (%rbp), %eax
        RUNS    "SMEP leaves reads alone"
        TRY3    call *%rbp
        RUNS3   "SMEP leaves user fetches alone"
        MAP     1, PTE_P
        TRY     call *%rbp
        RUNS    "SMEP: a supervisor fetch from a supervisor page"
        CLEAR_CR cr4, CR4_SMEP
        MAP     1, PTE_P+PTE_U
        TRY     call *%rbp
        RUNS    "without SMEP a supervisor may execute user pages"
1:      ret

smap:   NEEDS   7, ebx, 20, 1f
        TRY     clac
        RUNS    "CLAC executes without CR4.SMAP"
        SET_CR  cr4, CR4_SMAP
        MAP     1, PTE_P+PTE_W+PTE_U
        clac
        TRY     movl (%rbp), %eax
        FAULTS  "SMAP: a supervisor read of a user page with AC = 0: P", PF, PF_P
        TRY     movl %eax, 8(%rbp)
        FAULTS  "SMAP: a supervisor write to a user page with AC = 0: P, W/R", PF, PF_P|PF_W
        TRY_BEGIN
        stac
        movl    %eax, 8(%rbp)
        clac
        TRY_END
        RUNS    "STAC opens user pages to the supervisor"
        TRY     call *%rbp
        RUNS    "SMAP leaves fetches alone"
        MAP     1, PTE_P+PTE_W
        TRY     movl %eax, 8(%rbp)
        RUNS    "SMAP leaves supervisor pages alone"
        MAP     1, PTE_P+PTE_W+PTE_U
        /* Implicit accesses do not look at AC: a local descriptor table on a user page. */
        movabsq $0x00cf93000000ffff, %rax
        movq    %rax, free_pages + 4096 + 0x108
        movabsq $((PAGE(1) + 0x100) & 0xffffff) << 16 | 0x820000 << 24 | (PAGE(1) >> 24) << 56 | 0xff, %rax
        movq    %rax, gdt + LDT_SELECTOR
        movq    $0, gdt + LDT_SELECTOR + 8
        movl    $LDT_SELECTOR, %eax
        lldt    %ax
        movl    $0x0c, %eax
        stac
        TRY     movl %eax, %fs
        FAULTS  "SMAP: an implicit access to a user page faults whatever AC says", PF, PF_P
        clac
        CLEAR_CR cr4, CR4_SMAP
        movl    $0x0c, %eax
        TRY     movl %eax, %fs
        RUNS    "a descriptor on a user page without SMAP"
        xorl    %eax, %eax
        movl    %eax, %fs
        SET_CR  cr4, CR4_SMAP
        TRY3    stac
        FAULTS  "STAC at CPL 3 is #UD", UD, 0
        RING3_BEGIN FLAG_AC|2
        movl    8(%rbp), %eax
        RING3_END
        RUNS3   "SMAP leaves user accesses alone"
        CLEAR_CR cr4, CR4_SMAP
1:      ret

/* 4.6.2. Key 5 for page 1. */
protection_keys:
        NEEDS   7, ecx, 3, 1f
        TRY     .byte 0x0f, 0x01, 0xee
        FAULTS  "RDPKRU without CR4.PKE is #UD", UD, 0
        SET_CR  cr4, CR4_PKE
        MAP     1, PTE_P+PTE_W+PTE_U, -1, 5<<59
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        movl    $1 << 10, %eax                  /* AD of key 5 */
        .byte   0x0f, 0x01, 0xef                /* WRPKRU */
        TRY3    movl (%rbp), %eax
        FAULTS  "access disabled by a protection key, user read: P, U/S, PK", PF, PF_P|PF_U|PF_PK
        TRY     movl (%rbp), %eax
        FAULTS  "access disabled by a protection key, supervisor read: P, PK", PF, PF_P|PF_PK
        TRY3    call *%rbp
        RUNS3   "protection keys leave fetches alone"
        movl    $2 << 10, %eax                  /* WD of key 5 */
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        .byte   0x0f, 0x01, 0xef
        TRY3    movl (%rbp), %eax
        RUNS3   "write disabled by a protection key: reads pass"
        TRY3    movl %eax, 8(%rbp)
        FAULTS  "write disabled by a protection key, user write: P, U/S, W/R, PK", PF, PF_P|PF_U|PF_W|PF_PK
        TRY     movl %eax, 8(%rbp)
        FAULTS  "write disabled by a protection key, supervisor write with CR0.WP: P, W/R, PK", PF, PF_P|PF_W|PF_PK
        CLEAR_CR cr0, CR0_WP
        TRY     movl %eax, 8(%rbp)
        RUNS    "write disabled by a protection key, supervisor write without CR0.WP"
        SET_CR  cr0, CR0_WP
        MAP     1, PTE_P+PTE_W, -1, 5<<59
        TRY     movl %eax, 8(%rbp)
        RUNS    "protection keys leave supervisor pages alone"
        TRY     .byte 0x0f, 0x01, 0xee
        RUNS    "RDPKRU with CR4.PKE"
        xorl    %ecx, %ecx
        .byte   0x0f, 0x01, 0xee
        EQ      "RDPKRU gives what WRPKRU put", %rax, $0x800
        movl    $1, %ecx
        TRY     .byte 0x0f, 0x01, 0xee
        FAULTS  "RDPKRU with ECX <> 0 raises #GP(0)", GP, 0
        CLEAR_CR cr4, CR4_PKE
1:      ret
