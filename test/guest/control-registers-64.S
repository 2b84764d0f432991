/* CR0, CR3, CR4, CR8 and IA32_EFER: reserved bits and what depends on what (SDM vol. 3A 2.5, 4.1.1; MOV CR). */
#include "lib/test64.h"
#include "lib/control-registers.h"

        .text
        .code64
        .globl  main64
main64:
        TRY_CR  cr0, 1<<32
        FAULTS  "MOV to CR0 with bits 32-63 set raises #GP(0)", GP, 0
        EQ      "and leaves CR0 as it was", %rcx, %rbx
        movq    %rbx, %cr0
        TRY_CR  cr0, CR0_NW
        FAULTS  "CR0.NW without CR0.CD raises #GP(0)", GP, 0
        movq    %rbx, %cr0
        TRY_CR  cr0, 0x1ff80
        RUNS    "reserved bits of CR0 below bit 32 raise nothing"
        movq    %rbx, %cr0
        TRY_CR  cr0, CR0_CD
        RUNS    "CR0.CD without CR0.NW"
        movq    %rbx, %cr0
        TRY_CR  cr0, 0, CR0_ET
        RUNS    "MOV to CR0 with ET clear"
        EQ      "CR0.ET stays set", %rcx, %rbx

        TRY_CR  cr3, 0x18
        RUNS    "PWT and PCD of CR3 can be set"
        EQ      "and read", %rcx, $pml4+0x18
        movq    %rbx, %cr3
        TRY_CR  cr3, 0xfe7
        RUNS    "the other low bits of CR3 raise nothing"
        movq    %rbx, %cr3

        movl    $16, %eax
        TRY     movq %rax, %cr8
        FAULTS  "MOV to CR8 with bits 4-63 set raises #GP(0)", GP, 0
        movl    $0xfee00000, %esi
        movl    $9, %eax
        movq    %rax, %cr8
        movl    0x80(%rsi), %ecx
        EQ      "CR8 is bits 4-7 of the local APIC's TPR", %rcx, $0x90
        movl    $0x35, 0x80(%rsi)
        movq    %cr8, %rcx
        EQ      "and reads them", %rcx, $3
        movl    $0, 0x80(%rsi)
        .irp    register, cr0, cr2, cr3, cr4, cr8
        TRY3    movq %\register, %rax
        FAULTS  "MOV from \register at CPL 3 raises #GP(0)", GP, 0
        .endr
        movabsq $0x123456789abcdef0, %rax
        movq    %rax, %cr2
        movq    %cr2, %rcx
        EQ      "CR2 holds any 64 bits", %rcx, %rax

        /* IA32_EFER. */
        .macro  TRY_EFER flip:req
        READ_MSR IA32_EFER
        movq    %rax, %r8
        xorl    $\flip, %eax
        xorl    %edx, %edx
        movl    $IA32_EFER, %ecx
        TRY     wrmsr
        READ_MSR IA32_EFER
        .endm
        TRY_EFER 2
        FAULTS  "a reserved bit of IA32_EFER (1) raises #GP(0)", GP, 0
        EQ      "and leaves it as it was", %rax, %r8
        TRY_EFER 1<<16
        FAULTS  "a reserved bit of IA32_EFER (16) raises #GP(0)", GP, 0
        TRY_EFER EFER_LME
        FAULTS  "changing IA32_EFER.LME with paging on raises #GP(0)", GP, 0
        TRY_EFER EFER_LMA
        RUNS    "WRMSR of IA32_EFER with another LMA"
        EQ      "leaves LMA as it is", %rax, %r8
        TRY_EFER EFER_NXE
        RUNS    "IA32_EFER.NXE can be changed"
        xorq    %r8, %rax
        EQ      "and reads so", %rax, $EFER_NXE
        TRY_EFER EFER_NXE

        /* CLTS, LMSW, SMSW. */
        SET_CR  cr0, CR0_TS
        clts
        movq    %cr0, %rax
        andl    $CR0_TS, %eax
        EQ      "CLTS clears CR0.TS", %rax, $0
        movq    %cr0, %rbx
        smsw    %rax
        EQ      "SMSW with a 64-bit register stores CR0", %rax, %rbx
        movl    $(CR0_TS|CR0_MP|CR0_EM), %eax
        lmsw    %ax
        movq    %cr0, %rcx
        andl    $0xf, %ecx
        EQ      "LMSW loads MP, EM and TS, and does not clear PE", %rcx, $(CR0_PE|CR0_MP|CR0_EM|CR0_TS)
        movq    %rbx, %cr0
        TRY3    clts
        FAULTS  "CLTS at CPL 3 raises #GP(0)", GP, 0
        TRY3    lmsw %ax
        FAULTS  "LMSW at CPL 3 raises #GP(0)", GP, 0
        ret
