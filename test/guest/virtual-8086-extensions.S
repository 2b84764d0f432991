/* Virtual-8086 mode extensions and protected-mode virtual interrupts (SDM vol. 3A 20.3, 20.4). */
#include "lib/test32.h"
#include "lib/virtual-8086.h"

        .text
        .code32
        .globl  main32
main32: movl    $1, %eax
        cpuid
        testl   $2, %edx
        jnz     1f
        SKIP_ALL "no VME"
        ret
1:
        /* Room in the TSS for the redirection bitmap and a word of the I/O bitmap behind it. */
        movw    $(0x88 + 1), gdt + TSS_SELECTOR
        movb    $0x89, gdt + TSS_SELECTOR + 5
        movl    $TSS_SELECTOR, %eax
        ltr     %ax
        SET_CR  cr4, CR4_VME
        V86_BEGIN sti16
        FAULTS  "CR4.VME: STI with IOPL 0 executes", UD, 0, 1
        movl    event + EV_RFLAGS, %eax
        andl    $(FLAG_VIF|FLAG_IF), %eax
        EQ      "and sets VIF, not IF", %eax, $FLAG_VIF
        V86_BEGIN sti16, FLAG_VIP
        FAULTS  "CR4.VME: STI with VIP set raises #GP(0)", GP, 0
        V86_BEGIN pushf16, FLAG_VIF
        EQ      "CR4.VME: PUSHF with IOPL 0 pushes VIF as IF, IOPL as 3", %eax, $(FLAG_IF|FLAG_IOPL|2)
        movw    $(FLAG_IF|2), 0x2f00
        V86_BEGIN popf16
        FAULTS  "CR4.VME: POPF with IOPL 0 executes", UD, 0, 1
        movl    event + EV_RFLAGS, %eax
        andl    $(FLAG_VIF|FLAG_IF), %eax
        EQ      "and loads VIF with the popped IF", %eax, $FLAG_VIF
        V86_BEGIN cli16, FLAG_VIF|FLAG_IF
        movl    event + EV_RFLAGS, %eax
        andl    $(FLAG_VIF|FLAG_IF), %eax
        EQ      "CR4.VME: CLI with IOPL 0 clears VIF, not IF", %eax, $FLAG_IF
        /* The redirection bitmap lies in the 32 bytes below the I/O bitmap, which moves up by 32. */
        movl    $tss32 + 0x68, %edi
        xorl    %eax, %eax
        movl    $34, %ecx
        rep stosb
        movw    $0x88, tss32 + 0x66
        movw    $redirected, 0x60 * 4
        movw    $0, 0x60 * 4 + 2
        V86_BEGIN int60
        EQ      "CR4.VME: INT n with its bit clear goes through the vectors at 0", event+EV_VECTOR, $UD
        EQ      "to the handler of the 8086 program", event+EV_RIP, $redirected
        movb    $1, tss32 + 0x68 + 0x60 / 8
        V86_BEGIN int60
        FAULTS  "CR4.VME: INT n with its bit set and IOPL 0 raises #GP(0)", GP, 0
        CLEAR_CR cr4, CR4_VME
        /* Protected-mode virtual interrupts (20.4). */
        SET_CR  cr4, CR4_PVI
        RING3_BEGIN
        sti
        RING3_END
        RUNS3   "CR4.PVI: STI at CPL 3 with IOPL 0 executes"
        movl    event + EV_RFLAGS, %eax
        andl    $(FLAG_VIF|FLAG_IF), %eax
        EQ      "and sets VIF at CPL 3, not IF", %eax, $FLAG_VIF
        RING3_BEGIN FLAG_VIP|2
        AT
        sti
        RING3_END
        FAULTS  "CR4.PVI: STI with VIP set raises #GP(0)", GP, 0
        CLEAR_CR cr4, CR4_PVI
        ret

        .section .low, "ax"
        .code16
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
int60:  int     $0x60
        ud2
redirected: ud2
