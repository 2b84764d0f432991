/* PCID and INVPCID (SDM vol. 3A 4.10.1, 4.10.4; vol. 2A, INVPCID). */
#include "lib/test64.h"
#include "lib/paging.h"

#define NO_FLUSH 63

        .text
        .code64
        .globl  main64
main64: NEEDS   1, ecx, 17, 9f
        NEEDS   7, ebx, 10, 9f
        jmp     1f
9:      SKIP_ALL "no PCID or INVPCID"
        ret
1:      movl    $PAGE(1), %ebp
        movl    $0xaaaa, free_pages + 1 * 4096
        movl    $0xbbbb, free_pages + 2 * 4096
        movq    %cr3, %rax
        orq     $5, %rax
        movq    %rax, %cr3
        movq    %cr4, %rax
        orq     $CR4_PCIDE, %rax
        TRY     movq %rax, %cr4
        FAULTS  "setting CR4.PCIDE with CR3[11:0] not zero raises #GP(0)", GP, 0
        movq    $pml4, %rax
        movq    %rax, %cr3
        SET_CR  cr4, CR4_PCIDE
        movq    %cr0, %rax
        btrq    $31, %rax
        TRY     movq %rax, %cr0
        FAULTS  "clearing CR0.PG with CR4.PCIDE set raises #GP(0)", GP, 0

        /* An entry cached for PCID 1 survives MOV to CR3 with bit 63 set. */
        .macro  TO_PCID pcid:req, keep=0
        movq    $pml4+\pcid, %rax
        .if     \keep
        btsq    $NO_FLUSH, %rax
        .endif
        movq    %rax, %cr3
        .endm
        TO_PCID 1
        MAP     1, PTE_P+PTE_W, 1
        movl    (%rbp), %eax
        TO_PCID 2
        movl    $free_pages + 2 * 4096 + PTE_P + PTE_W, scratch_pt + 8
        movl    (%rbp), %eax
        EQ      "another PCID does not use what was cached for the first", %rax, $0xbbbb
        movq    %cr3, %rcx
        EQ      "MOV from CR3 gives the PCID", %rcx, $pml4+2
        TO_PCID 1, 1
        movq    %cr3, %rcx
        EQ      "bit 63 is not kept in CR3", %rcx, $pml4+1
        TO_PCID 1
        movl    (%rbp), %eax
        EQ      "MOV to CR3 with bit 63 clear invalidates the entries of its PCID", %rax, $0xbbbb
        TRY_BEGIN
        movq    $pml4, %rax
        btsq    $62, %rax
        AT
        movq    %rax, %cr3
        TRY_END
        FAULTS  "bit 62 of CR3 is reserved with CR4.PCIDE too", GP, 0

        /* INVPCID. Each type has to make a changed entry visible. */
        .macro  INVALIDATES name:req, type:req, pcid:req, address:req
        MAP     1, PTE_P+PTE_W, 1
        movl    (%rbp), %eax
        movl    $free_pages + 2 * 4096 + PTE_P + PTE_W, scratch_pt + 8
        movq    $\pcid, descriptor
        movl    $\address, %eax
        movq    %rax, descriptor + 8
        movl    $\type, %eax
        invpcid descriptor, %rax
        movl    (%rbp), %eax
        EQ      "\name", %rax, $0xbbbb
        .endm
        INVALIDATES "INVPCID type 0 invalidates one address of one PCID", 0, 1, PAGE(1)
        INVALIDATES "INVPCID type 1 invalidates one PCID", 1, 1, 0
        INVALIDATES "INVPCID type 2 invalidates all", 2, 0, 0
        INVALIDATES "INVPCID type 3 invalidates all but global entries", 3, 0, 0
        SET_CR  cr4, CR4_PGE
        MAP     1, PTE_P+PTE_W+PTE_G, 1
        movl    (%rbp), %eax
        movl    $free_pages + 2 * 4096 + PTE_P + PTE_W, scratch_pt + 8
        movl    $2, %eax
        invpcid descriptor, %rax
        movl    (%rbp), %eax
        EQ      "INVPCID type 2 invalidates global entries too", %rax, $0xbbbb
        CLEAR_CR cr4, CR4_PGE
        movl    $4, %eax
        TRY     invpcid descriptor, %rax
        FAULTS  "INVPCID of an unknown type raises #GP(0)", GP, 0
        movq    $0x1000, descriptor
        movl    $1, %eax
        TRY     invpcid descriptor, %rax
        FAULTS  "INVPCID with reserved bits in the descriptor raises #GP(0)", GP, 0
        movq    $0, descriptor
        movabsq $1 << 47, %rax
        movq    %rax, descriptor + 8
        xorl    %eax, %eax
        TRY     invpcid descriptor, %rax
        FAULTS  "INVPCID type 0 of a non-canonical address raises #GP(0)", GP, 0
        movl    $2, %eax
        leaq    USER_ALIAS + descriptor, %rdi
        TRY3    invpcid (%rdi), %rax
        FAULTS  "INVPCID at CPL 3 raises #GP(0)", GP, 0
        TO_PCID 0
        CLEAR_CR cr4, CR4_PCIDE
        ret

        .bss
        .balign 16
descriptor: .skip 16
