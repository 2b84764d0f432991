/* Virtual-8086 mode (SDM vol. 3A 20.2, 20.3). The 16-bit code lies in segment 0. */
#include "lib/test32.h"
#include "lib/virtual-8086.h"

        .text
        .code32
        .globl  main32

main32: V86_BEGIN invalid
        FAULTS  "UD2 in virtual-8086 mode raises #UD", UD, 0
        movl    event + EV_RFLAGS, %eax
        andl    $FLAG_VM, %eax
        EQ      "the saved EFLAGS has VM set", %eax, $FLAG_VM
        EQ      "the frame has ES, DS, FS, GS above SS:ESP: 36 bytes", event+EV_FRAME, $ring0_stack_top-36
        movzwl  ring0_stack_top - 16, %eax
        EQ      "ES is saved", %eax, $0x100
        movzwl  ring0_stack_top - 4, %eax
        EQ      "GS is saved", %eax, $0x400
        movzwl  event_ds, %eax
        EQ      "DS is null in the handler", %eax, $0
        movzwl  event + EV_RSP, %eax
        EQ      "ESP is saved", %eax, $0x2f00
        movl    $0x5a, 0x1010
        V86_BEGIN segments
        EQ      "addresses are segment * 16 + offset", %eax, $0x5a
        EQ      "MOV to a segment register takes any value", %ebx, $0xf123

        /* IOPL-sensitive instructions (20.2.7) with IOPL 0 and 3. */
        V86_BEGIN cli16
        FAULTS  "CLI with IOPL 0 raises #GP(0)", GP, 0
        V86_BEGIN sti16
        FAULTS  "STI with IOPL 0 raises #GP(0)", GP, 0
        V86_BEGIN pushf16
        FAULTS  "PUSHF with IOPL 0 raises #GP(0)", GP, 0
        V86_BEGIN popf16
        FAULTS  "POPF with IOPL 0 raises #GP(0)", GP, 0
        V86_BEGIN int16
        FAULTS  "INT n with IOPL 0 raises #GP(0)", GP, 0
        movw    $iret_target, 0x2f00
        movw    $0, 0x2f02
        movw    $(FLAG_CF|2), 0x2f04
        V86_BEGIN iret16
        FAULTS  "IRET with IOPL 0 raises #GP(0)", GP, 0
        V86_BEGIN int3_16
        FAULTS  "INT3 is not IOPL-sensitive", BP, 0, 1
        V86_BEGIN cli16, FLAG_IOPL|FLAG_IF
        FAULTS  "CLI with IOPL 3 executes", UD, 0, 1
        movl    event + EV_RFLAGS, %eax
        andl    $FLAG_IF, %eax
        EQ      "and clears IF", %eax, $0
        V86_BEGIN int16, FLAG_IOPL
        FAULTS  "INT n with IOPL 3 goes through the IDT, whose gate needs DPL 3", LEAVE, 0, 2
        V86_BEGIN int_dpl0, FLAG_IOPL
        FAULTS  "INT n with IOPL 3 through a gate of DPL 0 raises #GP", GP, 0x42*8+2
        V86_BEGIN iret16, FLAG_IOPL
        EQ      "IRET with IOPL 3 executes", event+EV_VECTOR, $UD
        EQ      "IRET takes IP from the stack", event+EV_RIP, $iret_target
        movl    event + EV_RFLAGS, %eax
        andl    $(FLAG_VM|FLAG_IOPL|FLAG_CF), %eax
        EQ      "and leaves VM and IOPL", %eax, $(FLAG_VM|FLAG_IOPL|FLAG_CF)

        /* Privileged and protected-mode instructions. */
        .irp    name, hlt16, movcr16, clts16, lgdt16, wrmsr16
        V86_BEGIN \name, FLAG_IOPL
        FAULTS  "privileged in virtual-8086 mode: \name raises #GP(0)", GP, 0
        .endr
        .irp    name, lldt16, str16, verr16, lar16, arpl16
        V86_BEGIN \name
        FAULTS  "not recognised in virtual-8086 mode: \name is #UD", UD, 0
        .endr
        /* Ports: the bitmap alone decides, whatever IOPL. */
        V86_BEGIN out16, FLAG_IOPL
        FAULTS  "OUT without an I/O bitmap raises #GP(0) even with IOPL 3", GP, 0
        movl    $tss32 + 0x68, %edi
        movl    $0, %eax
        movl    $33, %ecx
        rep stosb
        movw    $(0x68 + 32), gdt + TSS_SELECTOR
        movb    $0x89, gdt + TSS_SELECTOR + 5
        movl    $TSS_SELECTOR, %eax
        ltr     %ax
        V86_BEGIN out16
        FAULTS  "OUT with a clear bit in the I/O bitmap executes with IOPL 0", UD, 0, 2
        /* The segment limit is FFFFH. */
        V86_BEGIN beyond
        FAULTS  "an offset above FFFFH raises #GP(0)", GP, 0, 6
        V86_BEGIN beyond_stack
        FAULTS  "through SS #SS(0)", SS_, 0, 6
        /* A far call, and an interrupt return to the monitor's caller. */
        V86_BEGIN far16
        EQ      "CALL far and RETF as in real-address mode", %eax, $0x77
        ret

        .section .low, "ax"
        .code16
invalid: ud2
segments:
        movw    $0x100, %ax
        movw    %ax, %es
        movzwl  %es:0x10, %eax
        movw    $0xf123, %bx
        movw    %bx, %fs
        xorl    %ebx, %ebx
        movw    %fs, %bx
        ud2
cli16:  cli
        ud2
sti16:  sti
        ud2
pushf16: pushfw
        popw    %ax
        movzwl  %ax, %eax
        ud2
popf16: popfw
        ud2
int16:  int     $LEAVE
        ud2
int_dpl0: int   $0x42
int60:  int     $0x60
        ud2
iret16: iretw
int3_16: int3
hlt16:  hlt
movcr16: movl   %cr0, %eax
clts16: clts
lgdt16: lgdtl   0
wrmsr16: wrmsr
lldt16: lldt    %ax
str16:  str     %ax
verr16: verr    %ax
lar16:  larw    %ax, %bx
arpl16: .byte   0x63, 0xc0
out16:  outb    %al, $0x80
        ud2
beyond: movl    $0x10000, %esi
        .byte   0x67, 0x8a, 0x06                /* MOV AL, [ESI] */
beyond_stack:
        movl    $0x10000, %ebp
        .byte   0x67, 0x8a, 0x45, 0x00          /* MOV AL, [EBP] */
far16:  lcall   $0x100, $(far_function - 0x1000)
        ud2
far_function:
        movl    $0x77, %eax
        lretw
iret_target: ud2
