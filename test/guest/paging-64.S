/*
 * 4-level paging: access rights, error codes, CR2, accessed and dirty flags (SDM vol. 3A 4.5-4.8), and the
 * translation caches (4.10). RBP = page 1 of the window.
 */
#include "lib/test64.h"
#include "lib/paging.h"

#define PAGE1 (%rbp)
#define RETC 0xc3

        .text
        .code64
        .globl  main64
main64:
        movl    $PAGE(1), %ebp
        movb    $RETC, free_pages + 4096
        call    rights
        call    no_execute
        call    accessed_dirty
        call    caches
        call    reserved_bits
        call    page_sizes
        ret

rights: /* Supervisor mode. */
        MAP     1, 0
        TRY     movl 0x123(%rbp), %eax
        FAULTS  "a supervisor read of a page that is not present: error code 0", PF, 0
        leaq    0x123(%rbp), %rax
        EQ      "CR2 holds the linear address of a page fault", event+EV_CR2, %rax
        TRY     movl %eax, 0x456(%rbp)
        FAULTS  "a supervisor write to a page that is not present: W/R", PF, PF_W
        TRY     incl 0x456(%rbp)
        FAULTS  "a read-modify-write faults as a write", PF, PF_W
        TRY     call *%rbp
        EQ      "a fetch from a page that is not present: error code 0 while NXE is clear", event+EV_ERROR, $0
        EQ      "its saved RIP is the address fetched from", event+EV_RIP, %rbp
        EQ      "its CR2 is the address fetched from", event+EV_CR2, %rbp
        MAP     1, PTE_P
        TRY     movl (%rbp), %eax
        RUNS    "a supervisor read of a read-only page"
        TRY     movl %eax, (%rbp)
        FAULTS  "a supervisor write to a read-only page with CR0.WP: P, W/R", PF, PF_P|PF_W
        CLEAR_CR cr0, CR0_WP
        TRY     movl %eax, 8(%rbp)
        RUNS    "a supervisor write to a read-only page without CR0.WP"
        SET_CR  cr0, CR0_WP
        MAP     1, PTE_P+PTE_U
        TRY     movl %eax, (%rbp)
        FAULTS  "CR0.WP protects read-only user pages from supervisor writes too", PF, PF_P|PF_W
        MAP     1, PTE_P+PTE_W+PTE_U
        TRY     movl %eax, 8(%rbp)
        RUNS    "a supervisor write to a user page"

        /* User mode. */
        MAP     1, 0
        TRY3    movl (%rbp), %eax
        FAULTS  "a user read of a page that is not present: U/S", PF, PF_U
        TRY3    movl %eax, (%rbp)
        FAULTS  "a user write to a page that is not present: U/S, W/R", PF, PF_U|PF_W
        MAP     1, PTE_P+PTE_W
        TRY3    movl (%rbp), %eax
        FAULTS  "a user read of a supervisor page: P, U/S", PF, PF_P|PF_U
        TRY3    movl %eax, (%rbp)
        FAULTS  "a user write to a supervisor page: P, U/S, W/R", PF, PF_P|PF_U|PF_W
        MAP     1, PTE_P+PTE_U
        TRY3    movl (%rbp), %eax
        RUNS3   "a user read of a read-only user page"
        TRY3    movl %eax, (%rbp)
        FAULTS  "a user write to a read-only user page: P, U/S, W/R", PF, PF_P|PF_U|PF_W
        CLEAR_CR cr0, CR0_WP
        TRY3    movl %eax, (%rbp)
        FAULTS  "CR0.WP makes no difference to user writes", PF, PF_P|PF_U|PF_W
        SET_CR  cr0, CR0_WP
        MAP     1, PTE_P+PTE_W+PTE_U
        TRY3    movl %eax, 8(%rbp)
        RUNS3   "a user write to a writable user page"

        /* The rights of all levels together count. */
        andq    $~PTE_W, pd_scratch
        invlpg  (%rbp)
        TRY3    movl %eax, (%rbp)
        FAULTS  "R/W of a page-directory entry holds for all its pages", PF, PF_P|PF_U|PF_W
        orq     $PTE_W, pd_scratch
        andq    $~PTE_U, pd_scratch
        invlpg  (%rbp)
        TRY3    movl (%rbp), %eax
        FAULTS  "U/S of a page-directory entry holds for all its pages", PF, PF_P|PF_U
        orq     $PTE_U, pd_scratch
        andq    $~PTE_P, pdpt + 16
        invlpg  (%rbp)
        TRY3    movl (%rbp), %eax
        FAULTS  "a PDPTE that is not present: P clear", PF, PF_U
        orq     $PTE_P, pdpt + 16
        invlpg  (%rbp)

        /* Implicit supervisor accesses at CPL 3 (4.6.1). */
        RING3_BEGIN
        movl    $USER_DS, %eax
        movl    %eax, %ds
        RING3_END
        FAULTS  "a segment load at CPL 3 reads a GDT on supervisor pages", LEAVE, 0, 2

        /* Page crossing. */
        MAP     1, PTE_P+PTE_W
        MAP     2, 0
        movl    $0x11223344, free_pages + 2 * 4096 - 4
        leaq    0xffe(%rbp), %rsi
        TRY     movl %eax, (%rsi)
        FAULTS  "a write that crosses into a page that is not present", PF, PF_W
        leaq    0x1000(%rbp), %rax
        EQ      "CR2 is the first byte of the second page", event+EV_CR2, %rax
        movl    free_pages + 2 * 4096 - 4, %eax
        EQ      "a faulting write has changed nothing in the first page", %rax, $0x11223344
        MAP     1, 0
        MAP     2, PTE_P+PTE_W
        TRY     movl (%rsi), %eax
        FAULTS  "a read that crosses from a page that is not present", PF, 0
        EQ      "CR2 is the first byte of the operand", event+EV_CR2, %rsi
        ret

no_execute:
        MAP     1, PTE_P
        MAP     2, PTE_P
        TRY     call *%rbp
        RUNS    "a fetch from any present page while EFER.NXE is clear"
        TRY_BEGIN
        MAP     1, PTE_P, -1, 1<<63
        AT
        movl    (%rbp), %eax
        TRY_END
        FAULTS  "bit 63 is reserved while EFER.NXE is clear", PF, PF_P|PF_RSVD
        READ_MSR IA32_EFER
        orl     $EFER_NXE, %eax
        movq    %rax, %rdx
        shrq    $32, %rdx
        wrmsr
        MAP     1, PTE_P, -1, 1<<63
        TRY     movl (%rbp), %eax
        RUNS    "XD does not keep data from being read"
        TRY     call *%rbp
        EQ      "a supervisor fetch from an XD page: P, I/D", event+EV_ERROR, $PF_P+PF_I
        MAP     1, PTE_P+PTE_U, -1, 1<<63
        TRY3    call *%rbp
        EQ      "a user fetch from an XD page: P, U/S, I/D", event+EV_ERROR, $PF_P+PF_U+PF_I
        MAP     1, 0
        TRY     call *%rbp
        EQ      "a fetch from a page that is not present: I/D while NXE is set", event+EV_ERROR, $PF_I
        MAP     1, PTE_P
        TRY3    call *%rbp
        EQ      "a user fetch from a supervisor page: P, U/S, I/D", event+EV_ERROR, $PF_P+PF_U+PF_I
        btsq    $63, pd_scratch
        invlpg  (%rbp)
        TRY     call *%rbp
        EQ      "XD of a page-directory entry holds for all its pages", event+EV_ERROR, $PF_P+PF_I
        btrq    $63, pd_scratch
        invlpg  (%rbp)
        /* An instruction that crosses into an XD page faults there: MOV EAX, imm32 at the end of page 1. */
        movb    $0xb8, free_pages + 2 * 4096 - 2
        MAP     2, PTE_P, -1, 1<<63
        leaq    0xffe(%rbp), %rsi
        TRY     call *%rsi
        leaq    0x1000(%rbp), %rax
        EQ      "an instruction that reaches into an XD page: CR2 is that page", event+EV_CR2, %rax
        EQ      "its saved RIP is the instruction's first byte", event+EV_RIP, %rsi
        EQ      "its error code: P, I/D", event+EV_ERROR, $PF_P+PF_I
        ret

accessed_dirty:
        MAP     1, PTE_P+PTE_W
        MAP     2, PTE_P+PTE_W
        ENTRY_BITS 1
        EQ      "INVLPG sets no accessed flag", %rax, $PTE_P+PTE_W
        movl    (%rbp), %eax
        ENTRY_BITS 1
        EQ      "a read sets the accessed flag", %rax, $PTE_P+PTE_W+PTE_A
        movl    $0, 4(%rbp)
        ENTRY_BITS 1
        EQ      "a write after a read sets the dirty flag", %rax, $PTE_P+PTE_W+PTE_A+PTE_D
        andq    $~(PTE_A|PTE_D), scratch_pt + 8
        invlpg  (%rbp)
        movl    $0, 4(%rbp)
        ENTRY_BITS 1
        EQ      "a write sets both flags", %rax, $PTE_P+PTE_W+PTE_A+PTE_D
        MAP     1, PTE_P
        TRY     movl %eax, (%rbp)
        ENTRY_BITS 1
        andl    $PTE_D, %eax
        EQ      "a write that faults sets no dirty flag", %rax, $0
        MAP     1, PTE_P+PTE_W
        call    *%rbp
        ENTRY_BITS 1
        EQ      "a fetch sets the accessed flag", %rax, $PTE_P+PTE_W+PTE_A
        andq    $~PTE_A, pd_scratch
        invlpg  (%rbp)
        movl    (%rbp), %eax
        movq    pd_scratch, %rax
        andl    $PTE_A|PTE_D, %eax
        EQ      "an access sets the accessed flag of every entry, the dirty flag of the last only", %rax, $PTE_A
        MAP     1, PTE_P+PTE_W
        xorl    %eax, %eax
        movl    $1, %ecx
        movl    $5, 8(%rbp)
        MAP     1, PTE_P+PTE_W
        xorl    %eax, %eax
        cmpxchgl %ecx, 8(%rbp)
        ENTRY_BITS 1
        EQ      "a CMPXCHG that does not store sets the dirty flag all the same", %rax, $PTE_P+PTE_W+PTE_A+PTE_D
        ret

caches: /* 4.10.4.1: INVLPG, MOV to CR3; 4.10.2.4: global pages. */
        movl    $0xaaaa, free_pages + 3 * 4096 + 16
        movl    $0xbbbb, free_pages + 4 * 4096 + 16
        MAP     1, PTE_P+PTE_W, 3
        movl    16(%rbp), %eax
        MAP     1, PTE_P+PTE_W, 4
        movl    16(%rbp), %eax
        EQ      "INVLPG makes a changed entry take effect", %rax, $0xbbbb
        movl    $free_pages + 3 * 4096 + PTE_P, scratch_pt + 8
        movq    %cr3, %rax
        movq    %rax, %cr3
        movl    16(%rbp), %eax
        EQ      "MOV to CR3 makes a changed entry take effect", %rax, $0xaaaa
        SET_CR  cr4, CR4_PGE
        MAP     1, PTE_P+PTE_W+PTE_G, 3
        movl    16(%rbp), %eax
        movl    $free_pages + 4 * 4096 + PTE_P, scratch_pt + 8
        invlpg  (%rbp)
        movl    16(%rbp), %eax
        EQ      "INVLPG invalidates a global page", %rax, $0xbbbb
        MAP     1, PTE_P+PTE_W+PTE_G, 3
        movl    16(%rbp), %eax
        movl    $free_pages + 4 * 4096 + PTE_P, scratch_pt + 8
        CLEAR_CR cr4, CR4_PGE
        movl    16(%rbp), %eax
        EQ      "a change of CR4.PGE invalidates global pages", %rax, $0xbbbb
        /* Upgrades of rights need no invalidation: the fault walks again (4.10.4.3). */
        MAP     1, PTE_P
        movl    (%rbp), %eax
        orq     $PTE_W, scratch_pt + 8
        TRY     movl %eax, 20(%rbp)
        RUNS    "a write after R/W was set needs no invalidation"
        ret

reserved_bits:
        MAP     1, PTE_P+PTE_W, -1, 1<<51
        TRY     movl (%rbp), %eax
        FAULTS  "an address bit above MAXPHYADDR is reserved: P, RSVD", PF, PF_P|PF_RSVD
        TRY3    movl %eax, (%rbp)
        FAULTS  "RSVD comes with U/S and W/R", PF, PF_P|PF_RSVD|PF_U|PF_W
        MAP     1, PTE_W, -1, 1<<51
        TRY     movl (%rbp), %eax
        FAULTS  "an entry that is not present has no reserved bits", PF, 0
        MAP     1, PTE_P+PTE_W
        movq    $PTE_PS + PTE_P + PTE_W + 0x2000, pd_scratch + 8
        movl    $SCRATCH + 0x200000, %esi
        TRY     movl (%rsi), %eax
        FAULTS  "bits 13-20 of a 2-MiB entry are reserved", PF, PF_P|PF_RSVD
        movq    $0, pd_scratch + 8
        movq    $pdpt + PTE_PS + PTE_P + PTE_W, pml4 + 8
        movabsq $1 << 39, %rsi
        TRY     movl (%rsi), %eax
        FAULTS  "bit 7 of a PML4 entry is reserved", PF, PF_P|PF_RSVD
        movq    $0, pml4 + 8
        ret

page_sizes:
        movl    $0xcccc, free_pages + 5 * 4096 + 24
        /* 2 MiB: the linear address's bits 0-20 are the offset. */
        movl    $free_pages + 5 * 4096 + 24, %esi
        movl    %esi, %eax
        andl    $0xffe00000, %eax
        orl     $(PTE_PS|PTE_P|PTE_W), %eax
        movq    %rax, pd_scratch + 8
        andl    $0x001fffff, %esi
        addl    $SCRATCH + 0x200000, %esi
        movl    (%rsi), %eax
        EQ      "a 2-MiB page maps with bits 0-20 of the address", %rax, $0xcccc
        movl    $1, (%rsi)
        movq    pd_scratch + 8, %rax
        andl    $(PTE_A|PTE_D), %eax
        EQ      "accessed and dirty flags of a 2-MiB page lie in its PDE", %rax, $(PTE_A|PTE_D)
        movq    $0, pd_scratch + 8
        NEEDS   0x80000001, edx, 26, 1f
        movl    $0xdddd, free_pages + 5 * 4096 + 24
        movq    $(PTE_PS|PTE_P|PTE_W), pdpt + 8 * 8
        movabsq $(8 << 30) + free_pages + 5 * 4096 + 24, %rsi
        movl    (%rsi), %eax
        EQ      "a 1-GiB page maps with bits 0-29 of the address", %rax, $0xdddd
        movl    $1, (%rsi)
        movq    pdpt + 8 * 8, %rax
        andl    $(PTE_A|PTE_D), %eax
        EQ      "accessed and dirty flags of a 1-GiB page lie in its PDPTE", %rax, $(PTE_A|PTE_D)
        movq    $(PTE_PS|PTE_P|PTE_W|0x2000), pdpt + 9 * 8
        movabsq $9 << 30, %rsi
        TRY     movl (%rsi), %eax
        FAULTS  "bits 13-29 of a 1-GiB entry are reserved", PF, PF_P|PF_RSVD
        /* Bit 12 of a large page is PAT, not an address bit. */
        movq    $(PTE_PS|PTE_P|PTE_W|0x1000), pdpt + 9 * 8
        invlpg  (%rsi)
        TRY     movl (%rsi), %eax
        RUNS    "bit 12 of a 1-GiB entry is PAT"
1:      ret

