/*
 * Ways from ring 3 to an empty handler and back, each ROUNDS times in a loop, and what the time-stamp counter says
 * of it. Each loop's ticks are written to port E9h, as 8 bytes.
 */
#include "lib/test64.h"

#define ROUNDS 1000
#define GATE_AT 0xc0

        .text
        .code64
        .globl  main64
main64:
        WRITE_MSR IA32_STAR, $0, $(USER_CS32<<16|KERNEL_CS64)
        WRITE_MSR IA32_FMASK, $FLAG_IF
        WRITE_MSR IA32_SYSENTER_CS, $KERNEL_CS64
        WRITE_MSR IA32_SYSENTER_ESP, $ring0_stack_top
        WRITE_MSR IA32_SYSENTER_EIP, $sysenter_entry
        movl    $0x80, %edi
        movq    $int_entry, %rsi
        call    user_gate
        movl    $0x81, %edi
        movq    $lstar_entry, %rsi
        call    user_gate
        movl    $0x82, %edi
        movq    $report_entry, %rsi
        call    user_gate
        /* A 64-bit call gate of DPL 3. */
        movq    $gate_entry, %rax
        movw    %ax, gdt + GATE_AT
        movw    $KERNEL_CS64, gdt + GATE_AT + 2
        movw    $0xec00, gdt + GATE_AT + 4
        shrq    $16, %rax
        movw    %ax, gdt + GATE_AT + 6
        movq    $0, gdt + GATE_AT + 8
        movq    $ring0_stack_top, tss64 + 4
        pushq   $USER_DS
        pushq   $USER_ALIAS + user_stack_top
        pushq   $2
        pushq   $USER_CS64
        pushq   $USER_ALIAS + ring3
        iretq

/* Vector EDI goes to RSI, from CPL 3 too. */
user_gate:
        shll    $4, %edi
        leaq    idt64(%rdi), %rdi
        movw    %si, (%rdi)
        movw    $KERNEL_CS64, 2(%rdi)
        movw    $0xee00, 4(%rdi)
        shrq    $16, %rsi
        movw    %si, 6(%rdi)
        movq    $0, 8(%rdi)
        ret

/* The handlers. */
        .balign 64
int_entry:
        iretq
gate_entry:
        lretq
syscall_entry:
        sysretq
syscall_one:
        movq    %rbx, %cr3
        sysretq
syscall_two:
        movq    %rbx, %cr3
        movq    %rbx, %cr3
        sysretq
sysenter_entry:
        sysexitq
/* RAX to IA32_LSTAR. Gives CR3 in RBX. */
lstar_entry:
        movl    $IA32_LSTAR, %ecx
        xorl    %edx, %edx
        wrmsr
        movq    %cr3, %rbx
        iretq
report_entry:
        movq    $results, %rsi
        movl    $(results_end - results), %ecx
1:      lodsb
        outb    %al, $0xe9
        decl    %ecx
        jnz     1b
        jmp     finish64

        .macro  MEASURE name:req, result:req
        rdtsc
        shlq    $32, %rdx
        leaq    (%rdx, %rax), %r12
        movl    $ROUNDS, %ebp
        call    \name
        rdtsc
        shlq    $32, %rdx
        addq    %rdx, %rax
        subq    %r12, %rax
        movq    %rax, results + 8 * \result(%rip)
        .endm

        .balign 64
ring3:
        MEASURE nothing, 0
        MEASURE by_int, 1
        MEASURE by_gate, 2
        movq    $syscall_entry, %rax
        int     $0x81
        MEASURE by_syscall, 3
        MEASURE by_sysenter, 4
        movq    $syscall_one, %rax
        int     $0x81
        MEASURE by_syscall, 5
        movq    $syscall_two, %rax
        int     $0x81
        MEASURE by_syscall, 6
        int     $0x82

nothing:
1:      decl    %ebp
        jnz     1b
        ret
by_int:
1:      int     $0x80
        decl    %ebp
        jnz     1b
        ret
by_gate:
1:      lcall   *far_pointer(%rip)
        decl    %ebp
        jnz     1b
        ret
by_syscall:
1:      syscall
        decl    %ebp
        jnz     1b
        ret
by_sysenter:
        movq    %rsp, %rcx
        leaq    2f(%rip), %rdx
1:      sysenter
2:      decl    %ebp
        jnz     1b
        ret

        .data
        .balign 8
far_pointer:
        .long   0
        .word   GATE_AT + 3
        .balign 8
results:
        .skip   7 * 8
results_end:

        .section .note.GNU-stack, "", @progbits
