/* 5-level paging: linear addresses of 57 bits (SDM vol. 3A 4.5, CR4.LA57). */
#include "lib/test64.h"
#include "lib/paging.h"

        .text
        .code32
        .globl  main32
main32: movl    $7, %eax
        xorl    %ecx, %ecx
        cpuid
        testl   $1 << 16, %ecx
        jnz     1f
        .pushsection .rodata
7704:   .asciz  "no LA57"
7705:   .asciz  "all"
        .popsection
        pushl   $7704b
        pushl   $7705b
        call    skip32
        jmp     finish
1:      movl    $pml4 + PTE_P + PTE_W + PTE_U, pml5
        movl    $CR4_LA57, boot_cr4
        movl    $pml5, boot_cr3
        ret

        .code64
        .globl  main64
main64: movq    %cr4, %rax
        andl    $CR4_LA57, %eax
        EQ      "CR4.LA57 is set", %rax, $CR4_LA57
        /* Entry 1 of the PML5: addresses from 2^48 on. */
        movq    $pml4_high + PTE_P + PTE_W + PTE_U, pml5 + 8
        movq    $pdpt + PTE_P + PTE_W + PTE_U, pml4_high + 3 * 8
        movl    $0x57, free_pages + 0x100
        movabsq $(1 << 48) + (3 << 39) + free_pages + 0x100, %rsi
        movl    (%rsi), %eax
        EQ      "bits 48-56 select the PML5 entry", %rax, $0x57
        movq    pml5 + 8, %rax
        andl    $(PTE_A|PTE_D), %eax
        EQ      "its accessed flag is set", %rax, $PTE_A
        movabsq $1 << 47, %rsi
        TRY     movl (%rsi), %eax
        FAULTS  "an address with bit 47 set and bit 48 clear is canonical: #PF", PF, 0
        EQ      "CR2 holds it", event+EV_CR2, %rsi
        movabsq $1 << 56, %rsi
        TRY     movl (%rsi), %eax
        FAULTS  "an address whose bits 57-63 differ from bit 56 raises #GP(0)", GP, 0
        movabsq $0xff00000000000000, %rsi
        TRY     movl (%rsi), %eax
        FAULTS  "the lowest address of the upper half is canonical: #PF", PF, 0
        movabsq $1 << 56, %rsi
        TRY     jmp *%rsi
        FAULTS  "JMP to a non-canonical address raises #GP(0)", GP, 0
        movabsq $(1 << 48) + (3 << 39) + target, %rsi
        call    *%rsi
        EQ      "code executes above 2^48", %rax, $0x1234
        andq    $~PTE_U, pml5 + 8
        movabsq $(1 << 48) + (3 << 39) + USER_ALIAS + free_pages, %rsi
        invlpg  (%rsi)
        TRY3    movl (%rsi), %eax
        FAULTS  "U/S of a PML5 entry holds for all below it", PF, PF_P|PF_U
        orq     $PTE_PS, pml5 + 8
        invlpg  (%rsi)
        TRY     movl (%rsi), %eax
        FAULTS  "bit 7 of a PML5 entry is reserved", PF, PF_P|PF_RSVD
        movq    $0, pml5 + 8
        invlpg  (%rsi)
        TRY     movl %eax, (%rsi)
        FAULTS  "a PML5 entry that is not present", PF, PF_W
        movl    $IA32_LSTAR, %ecx
        xorl    %eax, %eax
        movl    $0x00fe0000, %edx
        TRY     wrmsr
        RUNS    "WRMSR of IA32_LSTAR takes an address of 57 bits"
        ret
target: movl    $0x1234, %eax
        ret

        .bss
        .balign 4096
pml5:   .skip   4096
pml4_high: .skip 4096
