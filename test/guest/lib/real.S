/*
 * Real-address mode for a while (SDM vol. 3A 9.9.2): `call_real` from 32-bit protected mode without paging.
 *
 *     EAX: offset below 64 KiB of 16-bit code, which starts with CS = DS = ES = FS = GS = SS = 0, SP = 2FF0H,
 *     interrupts off and the vectors at 0, and ends by a near RET. It returns general registers but ESP.
 */
#include "arch.h"

        .text
        .code32
        .globl  call_real
call_real:
        movl    %esp, saved_esp
        movl    %eax, real_target
        lidtl   real_idt_pointer
        ljmpl   $KERNEL_CS16, $protected16

        .section .low, "ax"
        .code16
protected16:
        movw    $KERNEL_DS16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    %cr0, %eax
        andl    $~CR0_PE, %eax
        movl    %eax, %cr0
        ljmpw   $0, $1f
1:      xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $0x2ff0, %esp
        callw   *real_target
        cli
        cld
        pushl   %eax
        movl    %cr0, %eax
        orl     $CR0_PE, %eax
        movl    %eax, %cr0
        popl    %eax
        ljmpl   $KERNEL_CS32, $back

        .balign 4
real_target: .long 0
real_idt_pointer:
        .word   0x3ff
        .long   0

        .text
        .code32
back:   movl    %eax, %esp              /* ESP is free: EAX is a result */
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %eax, %ss
        movl    %esp, %eax
        movl    saved_esp, %esp
        lidtl   idt32_pointer
        ret

        .bss
        .balign 4
saved_esp: .skip 4

        .section .note.GNU-stack, "", @progbits
