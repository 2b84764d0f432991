/*
 * Exceptions and interrupts in 32-bit protected mode, as exceptions64.S has them for 64-bit mode. Its frame
 * holds ESP and SS only after a change of privilege level, and ES, DS, FS, GS after virtual-8086 mode.
 */
#include "arch.h"

#define HAS_ERROR ((1 << DF) | (1 << TS) | (1 << NP) | (1 << SS_) | (1 << GP) | (1 << PF) | (1 << AC) | (1 << 21))

        .text
        .code32
        .balign 16
        .globl  stubs32
stubs32:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     vector >= 32 || !((HAS_ERROR >> (vector & 31)) & 1)
        pushl   $0
        .endif
        pushl   $vector
        jmp     common
        .set    vector, vector + 1
        .endr

/* On the stack from here: the 8 registers of PUSHA, then these. */
#define F_VECTOR (8 * 4)
#define F_ERROR (9 * 4)
#define F_EIP (10 * 4)
#define F_CS (11 * 4)
#define F_EFLAGS (12 * 4)
#define F_ESP (13 * 4)
#define F_SS (14 * 4)

common: pushal
        cld
        /* The handler's own segments; the interrupted ones are kept for a hook. */
        movl    %ds, %eax
        movl    %es, %ebx
        movl    $KERNEL_DS, %edx
        movl    %edx, %ds
        movl    %edx, %es
        movl    %eax, event_ds
        movl    %ebx, event_es
        movl    F_VECTOR(%esp), %ecx
        movl    %ecx, event + EV_VECTOR
        movl    F_ERROR(%esp), %eax
        movl    %eax, event + EV_ERROR
        movzwl  %ax, %ebx
        movl    F_EIP(%esp), %eax
        movl    %eax, event + EV_RIP
        subl    try_start, %eax
        andl    $15, %eax
        shll    $16, %eax
        orl     %eax, %ebx
        movl    %ecx, %eax
        shll    $20, %eax
        orl     %eax, %ebx
        movl    %ebx, event + EV_CODE
        movl    F_CS(%esp), %eax
        movl    %eax, event + EV_CS
        movl    F_EFLAGS(%esp), %eax
        movl    %eax, event + EV_RFLAGS
        movl    F_ESP(%esp), %eax
        movl    %eax, event + EV_RSP
        movl    F_SS(%esp), %eax
        movl    %eax, event + EV_SS
        movl    %cr2, %eax
        movl    %eax, event + EV_CR2
        leal    F_EIP(%esp), %eax
        cmpl    $32, %ecx
        jae     1f
        movl    $HAS_ERROR, %edx
        btl     %ecx, %edx
        jnc     1f
        subl    $4, %eax
1:      movl    %eax, event + EV_FRAME
        incl    event + EV_COUNT

        movl    hook, %eax
        testl   %eax, %eax
        jz      recover32
        leal    F_EIP(%esp), %edi
        call    *%eax
        movl    event_ds, %eax
        movl    event_es, %ebx
        testl   $FLAG_VM, F_EFLAGS(%esp)
        jnz     1f                      /* IRET loads them from the frame */
        movl    %ebx, %es
        movl    %eax, %ds
1:      popal
        addl    $8, %esp
        iretl

        .globl  recover32
recover32:
        movl    try_rip, %eax
        testl   %eax, %eax
        jz      unexpected32
        movl    $0, try_rip
        movl    $KERNEL_DS, %edx
        movl    try_rsp, %edi
        leal    -(11 * 4)(%edi), %ebx
        movl    %eax, (8 * 4)(%ebx)
        movl    $KERNEL_CS32, (9 * 4)(%ebx)
        movl    $2, (10 * 4)(%ebx)
        movl    %ebx, %edi
        movl    %esp, %esi
        movl    $8, %ecx
        cmpl    %esi, %edi
        jb      1f
        addl    $(7 * 4), %esi
        addl    $(7 * 4), %edi
        std
1:      rep movsl %ss:(%esi), %es:(%edi)       /* SS may have a base */
        cld
        movl    %edx, %ss
        movl    %ebx, %esp
        popal
        iretl

/* Fills the IDT with interrupt gates, loads it and the task register. Clobbers all. */
        .globl  init_exceptions32
init_exceptions32:
        xorl    %ecx, %ecx
1:      movl    $KERNEL_CS32, %edx
        movl    $0x8e00, %ebx
        cmpl    $LEAVE, %ecx
        je      2f
        cmpl    $BP, %ecx
        je      2f
        cmpl    $OF, %ecx
        jne     3f
2:      movl    $0xee00, %ebx
3:      call    set_gate32
        incl    %ecx
        cmpl    $256, %ecx
        jb      1b
        lidtl   idt32_pointer

        movl    $tss32, %eax
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
        movl    $TSS_SELECTOR, %eax
        ltr     %ax
        ret

/* Sets gate ECX: selector DX, bits 32-47 of the descriptor BX, handler the vector's stub. Keeps all but EAX. */
        .globl  set_gate32
set_gate32:
        movl    %ecx, %eax
        shll    $4, %eax
        addl    $stubs32, %eax
        movw    %ax, idt32(, %ecx, 8)
        movw    %dx, idt32 + 2(, %ecx, 8)
        movw    %bx, idt32 + 4(, %ecx, 8)
        shrl    $16, %eax
        movw    %ax, idt32 + 6(, %ecx, 8)
        ret

        .data
        .balign 8
        .globl  idt32_pointer, tss32, event_ds, event_es
event_ds: .long 0
event_es: .long 0
idt32_pointer:
        .word   256 * 8 - 1
        .long   idt32, 0
        .balign 16
/* ESP0 at 4, SS0 at 8, I/O bitmap base at 66h: the limit, so none. */
tss32:  .long   0, ring0_stack_top, KERNEL_DS, 0, 0, 0, 0
        .fill   18, 4, 0
        .word   0, 0x68
        .skip   8224

        .bss
        .balign 16
        .globl  idt32
idt32:  .skip   2048

        .section .note.GNU-stack, "", @progbits
