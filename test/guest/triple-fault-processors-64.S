/* Any processor that shuts down ends the run, not the bootstrap processor alone. Run with two. */
#include "lib/test64.h"

#define LAPIC 0xfee00000
#define SVR 0xf0
#define ICR_LOW 0x300
#define OTHERS 0xc0000

        .text
        .code64
        .globl  main64
main64: movl    $LAPIC, %esi
        movl    $0x1ff, SVR(%rsi)
        EQ      "the guest runs up to the fault of another processor", $1, $1
        movl    $OTHERS|0x4500, ICR_LOW(%rsi)
        movl    $1000, %ecx
1:      outb    %al, $0x80
        loop    1b
        movl    $started, %eax
        shrl    $12, %eax
        orl     $OTHERS|0x4600, %eax
        movl    %eax, ICR_LOW(%rsi)
1:      pause
        jmp     1b

        .section .low, "ax"
        .code16
        .balign 4096
/* In real mode, with an interrupt vector table that has no entries. */
started:
        movw    %cs, %ax
        movw    %ax, %ds
        lidtl   no_vectors - started
        ud2
no_vectors:
        .word   0
        .long   0

        .section .note.GNU-stack, "", @progbits
