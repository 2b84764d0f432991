/*
 * Exceptions and interrupts in 64-bit mode. Every vector has a gate to a stub; each event is recorded in
 * `event`. Then either `hook` is called with RDI = its frame and the interrupted code goes on, or the
 * interrupted code is left for `try_rip` with RSP = `try_rsp`, CPL 0, interrupts off and the general
 * registers as they were.
 */
#include "arch.h"

/* Vectors that push an error code (SDM vol. 3A 6.13). */
#define HAS_ERROR ((1 << DF) | (1 << TS) | (1 << NP) | (1 << SS_) | (1 << GP) | (1 << PF) | (1 << AC) | (1 << 21))

        .text
        .code64
        .balign 16
stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     vector >= 32 || !((HAS_ERROR >> (vector & 31)) & 1)
        pushq   $0
        .endif
        pushq   $vector
        jmp     common
        .set    vector, vector + 1
        .endr

/* On the stack from here: 15 registers, vector, error code, RIP, CS, RFLAGS, RSP, SS. */
#define F_RAX (14 * 8)
#define F_VECTOR (15 * 8)
#define F_ERROR (16 * 8)
#define F_RIP (17 * 8)
#define F_CS (18 * 8)
#define F_RFLAGS (19 * 8)
#define F_RSP (20 * 8)
#define F_SS (21 * 8)

common: cld
        pushq   %rax
        pushq   %rbx
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rbp
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    F_VECTOR(%rsp), %rcx
        movq    %rcx, event + EV_VECTOR
        movq    F_ERROR(%rsp), %rax
        movq    %rax, event + EV_ERROR
        movzwl  %ax, %ebx
        movq    F_RIP(%rsp), %rax
        movq    %rax, event + EV_RIP
        subq    try_start, %rax
        andl    $15, %eax
        shll    $16, %eax
        orl     %eax, %ebx
        movl    %ecx, %eax
        shll    $20, %eax
        orl     %eax, %ebx
        movq    %rbx, event + EV_CODE
        movq    F_CS(%rsp), %rax
        movq    %rax, event + EV_CS
        movq    F_RFLAGS(%rsp), %rax
        movq    %rax, event + EV_RFLAGS
        movq    F_RSP(%rsp), %rax
        movq    %rax, event + EV_RSP
        movq    F_SS(%rsp), %rax
        movq    %rax, event + EV_SS
        movq    %cr2, %rax
        movq    %rax, event + EV_CR2
        leaq    F_RIP(%rsp), %rax
        /* Where an error code was pushed, it was the last thing. */
        cmpq    $32, %rcx
        jae     1f
        movl    $HAS_ERROR, %edx
        btl     %ecx, %edx
        jnc     1f
        subq    $8, %rax
1:      movq    %rax, event + EV_FRAME
        incq    event + EV_COUNT

        movq    hook, %rax
        testq   %rax, %rax
        jz      recover64
        leaq    F_RIP(%rsp), %rdi
        call    *%rax
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rbp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbx
        popq    %rax
        addq    $16, %rsp
        iretq

        .globl  recover64
recover64:
        movq    try_rip, %rax
        testq   %rax, %rax
        jz      unexpected64
        movq    $0, try_rip
        movl    $KERNEL_DS, %edx
        movl    %edx, %ds
        movl    %edx, %es
        movl    %edx, %ss
        /* The frame to leave by is built under try_rsp: the code there uses nothing below its stack. */
        movq    try_rsp, %rdi
        leaq    -(20 * 8)(%rdi), %rbx
        movq    %rax, (15 * 8)(%rbx)
        movq    $KERNEL_CS64, (16 * 8)(%rbx)
        movq    $2, (17 * 8)(%rbx)
        movq    %rdi, (18 * 8)(%rbx)
        movq    $KERNEL_DS, (19 * 8)(%rbx)
        movq    %rbx, %rdi
        movq    %rsp, %rsi
        movl    $15, %ecx
        cmpq    %rsi, %rdi
        jb      1f
        /* A frame on the same stack may overlap its copy from below. */
        addq    $(14 * 8), %rsi
        addq    $(14 * 8), %rdi
        std
1:      rep movsq
        cld
        movq    %rbx, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rbp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbx
        popq    %rax
        iretq

/* Fills the IDT with interrupt gates, loads it and the task register. Clobbers all. */
        .globl  init_exceptions64
init_exceptions64:
        xorl    %ecx, %ecx
1:      movl    %ecx, %edi
        movl    $KERNEL_CS64, %edx
        movl    $0x8e00, %r8d
        cmpl    $LEAVE, %ecx
        je      2f
        cmpl    $BP, %ecx
        je      2f
        cmpl    $OF, %ecx
        jne     3f
2:      movl    $0xee00, %r8d
3:      call    set_gate64
        incl    %ecx
        cmpl    $256, %ecx
        jb      1b
        lidt    idt64_pointer

        movl    $tss64, %eax
        movl    %eax, %edx
        shll    $16, %eax
        orl     $0x67, %eax
        movl    %eax, gdt + TSS_SELECTOR
        movl    %edx, %eax
        shrl    $16, %eax
        movzbl  %al, %eax
        orl     $0x8900, %eax
        andl    $0xff000000, %edx
        orl     %edx, %eax
        movl    %eax, gdt + TSS_SELECTOR + 4
        movq    $0, gdt + TSS_SELECTOR + 8
        movl    $TSS_SELECTOR, %eax
        ltr     %ax
        ret

/*
 * Sets gate EDI: selector DX, bits 32-47 of the descriptor R8W (IST, type, DPL, P), handler the vector's
 * stub. Keeps all but RAX.
 */
        .globl  set_gate64
set_gate64:
        pushq   %rdi
        pushq   %r9
        movl    %edi, %eax
        shll    $4, %eax
        leaq    stubs(%rax), %r9        /* both gates and stubs take 16 bytes */
        leaq    idt64(%rax), %rdi
        movw    %r9w, (%rdi)
        movw    %dx, 2(%rdi)
        movw    %r8w, 4(%rdi)
        shrq    $16, %r9
        movw    %r9w, 6(%rdi)
        movq    $0, 8(%rdi)
        popq    %r9
        popq    %rdi
        ret

        .data
        .balign 8
        .globl  try_rip, try_rsp, try_start, hook, event
/* Where an event takes the test on; 0 if none is expected. Consumed by the event. */
try_rip: .quad  0
try_rsp: .quad  0
/* The instruction that offsets in EV_CODE count from. */
try_start: .quad 0
hook:   .quad   0
event:  .fill   EV_SIZE / 8, 8, 0
        .globl  idt64_pointer
idt64_pointer:
        .word   256 * 16 - 1
        .quad   idt64
        .balign 16
        .skip   4
        .globl  tss64
/* RSP0 lies at 4, IST1 at 24h. No I/O bitmap: its base is the limit. */
tss64:  .long   0
        .quad   ring0_stack_top, 0, 0
        .quad   0
        .quad   ist1_stack_top, ist2_stack_top, 0, 0, 0, 0, 0
        .quad   0
        .word   0, 0x68
        .globl  tss64_end
tss64_end:
        .skip   8224                    /* room for an I/O bitmap and its last byte */

        .bss
        .balign 4096
        .globl  idt64, ring0_stack_top, ist1_stack_top, ist2_stack_top
idt64:  .skip   4096
        .skip   4096
ring0_stack_top:
        .skip   4096
ist1_stack_top:
        .skip   4096
ist2_stack_top:

        .section .note.GNU-stack, "", @progbits
