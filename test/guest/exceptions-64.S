/* Exceptions of 64-bit mode: vector, class (fault or trap) and error code (SDM vol. 3A chapter 6). */
#include "lib/test64.h"

        .text
        .code64
        .globl  main64
main64:
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        movl    $1, %eax
        TRY     divl %ecx
        FAULTS  "DIV by zero raises #DE as a fault", DE, 0
        EQ      "a #DE leaves EAX as it was", %rax, $1

        movl    $1, %edx
        movl    $1, %ecx
        TRY     divl %ecx
        FAULTS  "DIV with a quotient too large raises #DE", DE, 0

        movl    $0x80000000, %eax
        cltd
        movl    $-1, %ecx
        TRY     idivl %ecx
        FAULTS  "IDIV of the most negative number by -1 raises #DE", DE, 0

        TRY     int3
        FAULTS  "INT3 raises #BP as a trap", BP, 0, 1
        TRY     .byte 0xf1
        FAULTS  "INT1 raises #DB as a trap", DB, 0, 1
        TRY     ud2
        FAULTS  "UD2 raises #UD as a fault", UD, 0
        TRY     .byte 0x0f, 0xff, 0xc0
        FAULTS  "UD0 raises #UD", UD, 0
        TRY     .byte 0x0f, 0xb9, 0xc0
        FAULTS  "UD1 raises #UD", UD, 0

        /* Opcodes that 64-bit mode does not have (SDM vol. 2, each instruction's table). */
        TRY     .byte 0x06
        FAULTS  "PUSH ES is #UD in 64-bit mode", UD, 0
        TRY     .byte 0x27
        FAULTS  "DAA is #UD in 64-bit mode", UD, 0
        TRY     .byte 0x37
        FAULTS  "AAA is #UD in 64-bit mode", UD, 0
        TRY     .byte 0x60
        FAULTS  "PUSHA is #UD in 64-bit mode", UD, 0
        TRY     .byte 0x62, 0x00
        FAULTS  "BOUND is #UD in 64-bit mode", UD, 0
        TRY     .byte 0x82, 0xc0, 0x00
        FAULTS  "opcode 82H is #UD in 64-bit mode", UD, 0
        TRY     .byte 0x9a, 0, 0, 0, 0, 0, 0
        FAULTS  "CALL ptr16:32 is #UD in 64-bit mode", UD, 0
        TRY     .byte 0xc4, 0x00
        FAULTS  "LES is #UD in 64-bit mode", UD, 0
        TRY     .byte 0xce
        FAULTS  "INTO is #UD in 64-bit mode", UD, 0
        TRY     .byte 0xd4, 0x0a
        FAULTS  "AAM is #UD in 64-bit mode", UD, 0
        TRY     .byte 0xd6
        FAULTS  "SALC is #UD in 64-bit mode", UD, 0
        TRY     .byte 0xea, 0, 0, 0, 0, 0, 0
        FAULTS  "JMP ptr16:32 is #UD in 64-bit mode", UD, 0

        /* LOCK (SDM vol. 2A, LOCK). */
        TRY     .byte 0xf0, 0x90
        FAULTS  "LOCK NOP is #UD", UD, 0
        TRY     .byte 0xf0, 0x01, 0xc0
        FAULTS  "LOCK ADD with a register destination is #UD", UD, 0
        movq    $free_pages, %rdi
        TRY     .byte 0xf0, 0x89, 0x07
        FAULTS  "LOCK MOV is #UD", UD, 0
        TRY     .byte 0xf0, 0x03, 0x04, 0x24
        FAULTS  "LOCK ADD with a memory source is #UD", UD, 0
        TRY     lock addl $0, (%rsp)
        RUNS    "LOCK ADD with a memory destination executes"

        TRY     .byte 0x8e, 0xc8
        FAULTS  "MOV CS is #UD", UD, 0
        TRY     .byte 0x0f, 0x20, 0xc8
        FAULTS  "MOV from CR1 is #UD", UD, 0
        TRY     .byte 0x44, 0x0f, 0x20, 0xf8
        FAULTS  "MOV from CR15 is #UD", UD, 0
        TRY     .byte 0x2e, 0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x66, 0x67, 0xf2, 0xf3, 0x90
        FAULTS  "an instruction of more than 15 bytes raises #GP(0)", GP, 0

        /* Canonical addresses (SDM vol. 1 3.3.7.1): #SS through RSP or RBP, else #GP. */
        movabsq $0x0000800000000000, %rbx
        TRY     movl (%rbx), %eax
        FAULTS  "a read of a non-canonical address raises #GP(0)", GP, 0
        TRY     movl %eax, (%rbx)
        FAULTS  "a write to a non-canonical address raises #GP(0)", GP, 0
        movq    %rbx, %rbp
        TRY     movl (%rbp), %eax
        FAULTS  "a non-canonical address through RBP raises #SS(0)", SS_, 0
        TRY     movl %ds:(%rbp), %eax
        FAULTS  "a DS prefix changes nothing in 64-bit mode: RBP still means #SS", SS_, 0
        TRY     movl %fs:(%rbp), %eax
        FAULTS  "an FS prefix makes it #GP(0)", GP, 0
        /* 8 bytes that begin below the hole and end in it; their first page is mapped. */
        movq    $pdpt + PTE_P + PTE_W, pml4 + 255 * 8
        movq    $pd_supervisor + PTE_P + PTE_W, pdpt + 511 * 8
        movq    $PTE_PS + PTE_P + PTE_W, pd_supervisor + 511 * 8
        movabsq $0x00007ffffffffffc, %rbx
        TRY     movq (%rbx), %rax
        FAULTS  "an operand that reaches into the non-canonical hole raises #GP(0)", GP, 0
        movabsq $0x0000800000000000, %rbx
        TRY     jmp *%rbx
        FAULTS  "JMP to a non-canonical address raises #GP(0) at the JMP", GP, 0
        TRY     call *%rbx
        FAULTS  "CALL to a non-canonical address raises #GP(0) at the CALL", GP, 0
        TRY_BEGIN
        pushq   %rbx
        AT
        ret
        TRY_END
        FAULTS  "RET to a non-canonical address raises #GP(0) at the RET", GP, 0

        GATE    SS_, 1
        GATE    GP, 1
        movabsq $0x0000900000000000, %rbx
        TRY_BEGIN
        movq    %rbx, %rsp
        AT
        pushq   %rax
        TRY_END
        FAULTS  "PUSH with a non-canonical RSP raises #SS(0)", SS_, 0
        EQ      "a faulting PUSH leaves RSP as it was", event + EV_RSP, %rbx
        TRY_BEGIN
        movq    %rbx, %rsp
        AT
        popq    %rax
        TRY_END
        FAULTS  "POP with a non-canonical RSP raises #SS(0)", SS_, 0
        GATE    SS_
        GATE    GP

        /* Alignment (SDM vol. 2, MOVAPS, CMPXCHG16B: #GP(0)). */
        leaq    free_pages + 8, %rdi
        TRY     movaps (%rdi), %xmm0
        FAULTS  "MOVAPS from an address that is no multiple of 16 raises #GP(0)", GP, 0
        TRY     movups (%rdi), %xmm0
        RUNS    "MOVUPS takes any address"
        TRY     cmpxchg16b (%rdi)
        FAULTS  "CMPXCHG16B at an address that is no multiple of 16 raises #GP(0)", GP, 0

        /* Software interrupts and the IDT (SDM vol. 3A 6.12.1.2, 6.13). */
        TRY     int $0x30
        FAULTS  "INT n at CPL 0 passes a gate of DPL 0", 0x30, 0, 2
        TRY3    int $0x30
        FAULTS  "INT n at CPL 3 through a 64-bit gate of DPL 0 raises #GP with the vector, IDT bit set", GP, 0x30*8+2
        TRY3    int3
        FAULTS  "INT3 at CPL 3 passes a gate of DPL 3", BP, 0, 1
        GATE    BP
        TRY3    int3
        FAULTS  "INT3 at CPL 3 through a gate of DPL 0 raises #GP", GP, 3*8+2
        TRY3    .byte 0xf1
        FAULTS  "INT1 does not look at the gate's DPL", DB, 0, 1
        andb    $0x7f, idt64 + 0x31 * 16 + 5
        TRY     int $0x31
        FAULTS  "a gate that is not present raises #NP with the vector, IDT bit set", NP, 0x31*8+2
        GATE    0x31, 0, 0, 12
        TRY     int $0x31
        FAULTS  "a call gate in the IDT raises #GP", GP, 0x31*8+2
        GATE    0x31, 0, 0, 5
        TRY     int $0x31
        FAULTS  "a task gate in the IDT of IA-32e mode raises #GP", GP, 0x31*8+2
        GATE    0x31, 0, 0, 14, 0
        TRY     int $0x31
        FAULTS  "a gate with a null selector raises #GP(0)", GP, 0
        GATE    0x31, 0, 0, 14, KERNEL_DS
        TRY     int $0x31
        FAULTS  "a gate to a data segment raises #GP with the selector", GP, KERNEL_DS
        GATE    0x31, 0, 0, 14, KERNEL_CS32
        TRY     int $0x31
        FAULTS  "a gate to a code segment with L = 0 raises #GP with the selector", GP, KERNEL_CS32
        GATE    0x31, 0, 0, 14, 0x1f8
        TRY     int $0x31
        FAULTS  "a gate to an empty descriptor raises #GP with the selector", GP, 0x1f8
        GATE    0x31, 0, 0, 14, 0x7f8
        TRY     int $0x31
        FAULTS  "a gate to a selector beyond the GDT raises #GP with the selector", GP, 0x7f8
        movw    $0x31*16+14, idt64_pointer
        lidt    idt64_pointer
        TRY     int $0x31
        FAULTS  "a vector beyond the IDT limit raises #GP with the vector, IDT bit set", GP, 0x31*8+2
        movw    $4095, idt64_pointer
        lidt    idt64_pointer

        /* Faults inside the delivery of an exception carry EXT (SDM vol. 3A 6.13). */
        GATE    UD, 0, 0, 14, KERNEL_DS
        TRY     ud2
        FAULTS  "a bad gate of an exception raises #GP with EXT set", GP, KERNEL_DS+1
        GATE    UD
        ret
