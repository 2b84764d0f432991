/*
 * Instructions of features that CPUID does not report (model qemu64): #UD, or another instruction of the same
 * opcode.
 */
#include "lib/test64.h"

        .text
        .code64
        .globl  main64
main64:
        .macro  WITHOUT name:req, instruction:vararg
        TRY     \instruction
        FAULTS  "\name without its CPUID bit is #UD", UD, 0
        .endm
        movq    $free_pages, %rdi
        WITHOUT "STAC", stac
        WITHOUT "CLAC", clac
        WITHOUT "RDFSBASE", rdfsbase %rax
        WITHOUT "WRGSBASE", wrgsbase %rax
        WITHOUT "INVPCID", invpcid (%rdi), %rax
        WITHOUT "XSAVE", xsave (%rdi)
        WITHOUT "XGETBV", xgetbv
        WITHOUT "RDRAND", rdrand %eax
        WITHOUT "RDSEED", rdseed %eax
        WITHOUT "RDPID", rdpid %rax
        WITHOUT "RDPKRU", .byte 0x0f, 0x01, 0xee
        WITHOUT "MOVBE", movbe (%rdi), %eax
        WITHOUT "CRC32", crc32b %al, %eax
        WITHOUT "PSHUFB (SSSE3)", pshufb %xmm0, %xmm1
        WITHOUT "PMULLD (SSE4.1)", pmulld %xmm0, %xmm1
        WITHOUT "ANDN (BMI1)", andn %eax, %ebx, %ecx
        WITHOUT "ADCX", adcx %eax, %ebx
        TRY     addsubps %xmm0, %xmm1
        RUNS    "ADDSUBPS (SSE3) with its CPUID bit"
        TRY     cmpxchg16b (%rdi)
        RUNS    "CMPXCHG16B with its CPUID bit"
        /* F3 0F BD is BSR where LZCNT is not. */
        movl    $0x00010000, %eax
        lzcnt   %eax, %ecx
        EQ      "LZCNT without its CPUID bit is BSR", %rcx, $16
        tzcnt   %eax, %ecx
        EQ      "TZCNT without its CPUID bit is BSF", %rcx, $16

        /* 1-GiB pages: bit 7 of a PDPTE is reserved. */
        movq    $(PTE_PS|PTE_P|PTE_W), pdpt + 8 * 8
        movabsq $8 << 30, %rsi
        TRY     movl (%rsi), %eax
        FAULTS  "bit 7 of a PDPTE without 1-GiB pages is reserved: P, RSVD", PF, PF_P|PF_RSVD
        ret
