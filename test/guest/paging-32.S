/* 32-bit paging with 4-KiB and 4-MiB pages, and PAE paging (SDM vol. 3A 4.3, 4.4). */
#include "lib/test32.h"

#define WINDOW 0x40000000                       /* page directory entry 256, PDPTE 1 */
#define PAGE1 WINDOW+4096                       /* entry 1 of `table` */
#define WINDOW2 0x40400000                      /* a 4-MiB page behind it */

        .text
        .code32
        .globl  main32
main32: call    build_32
        movl    $directory, %eax
        movl    %eax, %cr3
        SET_CR  cr0, CR0_PG|CR0_WP
        call    rights
        call    large_pages
        CLEAR_CR cr0, CR0_PG|CR0_WP
        movl    $0, table + 4
        TRY     movl PAGE1, %eax
        RUNS    "without CR0.PG nothing is translated"
        call    pae
        ret

/* The first 16 MiB identity-mapped for the user too, by a page table each; WINDOW by `table`. */
build_32:
        movl    $identity, %edi
        movl    $7, %eax
        movl    $4096, %ecx
1:      stosl
        addl    $4096, %eax
        loop    1b
        movl    $directory, %edi
        xorl    %eax, %eax
        movl    $1024, %ecx
        rep stosl
        .irp    index, 0, 1, 2, 3
        movl    $identity+\index*4096+7, directory+\index*4
        .endr
        movl    $table+7, directory+256*4
        ret

        .macro  MAP32 flags:req
        movl    $free_pages+\flags, table+4
        invlpg  WINDOW+4096
        .endm
rights: movl    $0x1234, free_pages
        MAP32   3
        movl    PAGE1, %eax
        EQ      "32-bit paging maps a 4-KiB page", %eax, $0x1234
        MAP32   0
        TRY     movl PAGE1+8, %eax
        FAULTS  "a supervisor read of a page that is not present: error code 0", PF, 0
        EQ      "CR2 holds its linear address", event+EV_CR2, $PAGE1+8
        TRY     movl %eax, PAGE1
        FAULTS  "a supervisor write to a page that is not present: W/R", PF, PF_W
        TRY3    movl PAGE1, %eax
        FAULTS  "a user read of a page that is not present: U/S", PF, PF_U
        MAP32   1
        TRY     movl %eax, PAGE1
        FAULTS  "a supervisor write to a read-only page with CR0.WP: P, W/R", PF, PF_P|PF_W
        CLEAR_CR cr0, CR0_WP
        TRY     movl %eax, PAGE1+16
        RUNS    "a supervisor write to a read-only page without CR0.WP"
        SET_CR  cr0, CR0_WP
        MAP32   3
        TRY3    movl PAGE1, %eax
        FAULTS  "a user read of a supervisor page: P, U/S", PF, PF_P|PF_U
        MAP32   5
        TRY3    movl %eax, PAGE1
        FAULTS  "a user write to a read-only page: P, W/R, U/S", PF, PF_P|PF_W|PF_U
        MAP32   7
        TRY3    movl %eax, PAGE1+16
        RUNS3   "a user write to a writable user page"
        movl    table + 4, %eax
        andl    $(PTE_A|PTE_D), %eax
        EQ      "accessed and dirty flags are set", %eax, $(PTE_A|PTE_D)
        movl    directory + 256 * 4, %eax
        andl    $(PTE_A|PTE_D), %eax
        EQ      "the page-directory entry has its accessed flag alone", %eax, $PTE_A
        ret

large_pages:
        /* Without CR4.PSE bit 7 of a PDE is ignored. */
        movl    $table+0x80+7, directory+256*4
        movl    %cr3, %eax
        movl    %eax, %cr3
        movl    PAGE1, %eax
        EQ      "bit 7 of a page-directory entry means nothing without CR4.PSE", %eax, $0x1234
        movl    $table+7, directory+256*4
        SET_CR  cr4, CR4_PSE
        movl    $free_pages, %eax
        andl    $0xffc00000, %eax
        orl     $(PTE_PS|3), %eax
        movl    %eax, directory+257*4
        movl    $free_pages, %esi
        andl    $0x3fffff, %esi
        movl    WINDOW2(%esi), %eax
        EQ      "a 4-MiB page maps with bits 0-21 of the address", %eax, $0x1234
        movl    %eax, WINDOW2(%esi)
        movl    directory+257*4, %eax
        andl    $(PTE_A|PTE_D), %eax
        EQ      "its flags lie in the page-directory entry", %eax, $(PTE_A|PTE_D)
        movl    $(PTE_PS|0x200003), directory+257*4
        invlpg  WINDOW2
        TRY     movl WINDOW2, %eax
        FAULTS  "bit 21 of a 4-MiB entry is reserved: P, RSVD", PF, PF_P|PF_RSVD
        movl    $0, directory+257*4
        CLEAR_CR cr4, CR4_PSE
        ret

pae:    movl    $pdpt32, %edi
        xorl    %eax, %eax
        movl    $8, %ecx
        rep stosl
        movl    $pae_pd0+1, pdpt32
        movl    $pae_pd1+1, pdpt32+8
        /* 16 MiB by 2-MiB pages; WINDOW by pae_table. */
        movl    $pae_pd0, %edi
        movl    $(PTE_PS|7), %eax
        movl    $8, %ecx
1:      movl    %eax, (%edi)
        movl    $0, 4(%edi)
        addl    $8, %edi
        addl    $0x200000, %eax
        loop    1b
        movl    $pae_table+7, pae_pd1
        movl    $0, pae_pd1+4
        SET_CR  cr4, CR4_PAE
        movl    $pdpt32, %eax
        movl    %eax, %cr3
        SET_CR  cr0, CR0_PG|CR0_WP
        movl    $free_pages+7, pae_table+8
        movl    $0x4321, free_pages
        movl    PAGE1, %eax
        EQ      "PAE paging maps a 4-KiB page", %eax, $0x4321
        movl    $0, pae_table+8
        invlpg  PAGE1
        TRY     movl %eax, PAGE1
        FAULTS  "PAE: a write to a page that is not present", PF, PF_W
        movl    $free_pages+1, pae_table+8
        TRY     movl %eax, PAGE1
        FAULTS  "PAE: a write to a read-only page: P, W/R", PF, PF_P|PF_W
        movl    $0x80000000, pae_table+12
        invlpg  PAGE1
        TRY     movl PAGE1, %eax
        FAULTS  "PAE: bit 63 without IA32_EFER.NXE is reserved: P, RSVD", PF, PF_P|PF_RSVD
        movl    $IA32_EFER, %ecx
        rdmsr
        orl     $EFER_NXE, %eax
        wrmsr
        movb    $0xc3, free_pages
        movl    $PAGE1, %esi
        invlpg  PAGE1
        TRY     call *%esi
        EQ      "PAE: a fetch from an XD page: P, I/D", event+EV_ERROR, $PF_P+PF_I
        movl    $0, pae_table+12
        /* The four PDPTEs are registers, loaded with CR3 (4.4.1). */
        movl    $0, pdpt32+8
        movl    $free_pages+1, pae_table+8
        invlpg  PAGE1
        TRY     movl PAGE1, %eax
        RUNS    "PAE: a changed PDPTE has no effect before MOV to CR3"
        movl    %cr3, %eax
        movl    %eax, %cr3
        TRY     movl PAGE1, %eax
        FAULTS  "PAE: after MOV to CR3 it has", PF, 0
        movl    $pae_pd1+1+2, pdpt32+8
        movl    %cr3, %eax
        TRY     movl %eax, %cr3
        FAULTS  "PAE: MOV to CR3 with a reserved bit set in a present PDPTE raises #GP(0)", GP, 0
        movl    $pae_pd1+1, pdpt32+8
        movl    %cr3, %eax
        movl    %eax, %cr3
        movl    $free_pages + 1, pae_table + 8
        movl    $0x00100000, pae_table + 12
        invlpg  PAGE1
        TRY     movl PAGE1, %eax
        FAULTS  "PAE: an address bit above MAXPHYADDR is reserved: P, RSVD", PF, PF_P|PF_RSVD
        CLEAR_CR cr0, CR0_PG|CR0_WP
        CLEAR_CR cr4, CR4_PAE
        ret

        .bss
        .balign 4096
directory: .skip 4096
table:  .skip   4096
identity: .skip 4 * 4096
pae_pd0: .skip  4096
pae_pd1: .skip  4096
pae_table: .skip 4096
pdpt32: .skip   32
