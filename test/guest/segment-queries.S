/* LAR, LSL, VERR, VERW, ARPL in 32-bit protected mode (SDM vol. 2; vol. 3A 5.10). */
#include "lib/test32.h"

#define CONFORMING FREE_SELECTOR
#define READ_ONLY3 (FREE_SELECTOR + 0x08)
#define EXECUTE_ONLY3 (FREE_SELECTOR + 0x10)
#define ABSENT3 (FREE_SELECTOR + 0x18)
#define CALL_GATE (FREE_SELECTOR + 0x20)
#define INTERRUPT_GATE (FREE_SELECTOR + 0x28)
#define BYTES3 (FREE_SELECTOR + 0x30)
#define EMPTY (FREE_SELECTOR + 0x38)

        .text
        .code32
        .globl  main32
main32:
        DESCRIPTOR CONFORMING, 0, 0xfffff, (SEG_P|SEG_S|SEG_CODE|SEG_RW|SEG_DC|SEG_D|SEG_G|SEG_A)
        DESCRIPTOR READ_ONLY3, 0, 0xfffff, (SEG_P|SEG_S|SEG_D|SEG_G|SEG_DPL3|SEG_A)
        DESCRIPTOR EXECUTE_ONLY3, 0, 0xfffff, (SEG_P|SEG_S|SEG_CODE|SEG_D|SEG_G|SEG_DPL3|SEG_A)
        DESCRIPTOR ABSENT3, 0, 0xfffff, (SEG_S|SEG_RW|SEG_D|SEG_G|SEG_DPL3|SEG_A)
        DESCRIPTOR CALL_GATE, 0, 0, (SEG_P|0x0c|SEG_DPL3)
        DESCRIPTOR INTERRUPT_GATE, 0, 0, (SEG_P|0x0e|SEG_DPL3)
        DESCRIPTOR BYTES3, 0, 0x12345, (SEG_P|SEG_S|SEG_RW|SEG_D|SEG_DPL3|SEG_A)

        /* The selector `queried` in EAX; ZF afterwards; the destination EDX starts as DEADH. */
        .macro  QUERY name:req, zf:req, instruction:vararg
        movl    $0xdead, %edx
        movl    $queried, %eax
        \instruction
        setz    %cl
        movzbl  %cl, %ecx
        EQ      "\name", %ecx, $\zf
        .endm
        .set    queried, KERNEL_CS32
        QUERY   "LAR of a code segment sets ZF", 1, larl %eax, %edx
        EQ      "LAR gives bits 40-55 of the descriptor, in place", %edx, $0x00cf9b00&0x00f0ff00
        .set    queried, BYTES3
        QUERY   "LSL of a data segment sets ZF", 1, lsll %eax, %edx
        EQ      "LSL gives the limit in bytes", %edx, $0x12345
        .set    queried, KERNEL_DS
        QUERY   "LSL of a segment with G set", 1, lsll %eax, %edx
        EQ      "LSL scales a limit with G set", %edx, $0xffffffff
        QUERY   "LSL with a 16-bit destination", 1, lslw %ax, %dx
        EQ      "LSL with a 16-bit destination truncates", %edx, $0xffff
        .set    queried, 0
        QUERY   "LAR of a null selector clears ZF", 0, larl %eax, %edx
        EQ      "and leaves the destination", %edx, $0xdead
        QUERY   "LSL of a null selector clears ZF", 0, lsll %eax, %edx
        QUERY   "VERR of a null selector clears ZF", 0, verr %ax
        QUERY   "VERW of a null selector clears ZF", 0, verw %ax
        .set    queried, 0x7f8
        QUERY   "LAR beyond the GDT clears ZF", 0, larl %eax, %edx
        QUERY   "VERR beyond the GDT clears ZF", 0, verr %ax
        .set    queried, EMPTY
        QUERY   "LAR of an empty descriptor clears ZF", 0, larl %eax, %edx
        .set    queried, KERNEL_DS+3
        QUERY   "LAR with RPL above DPL clears ZF", 0, larl %eax, %edx
        QUERY   "VERR with RPL above DPL clears ZF", 0, verr %ax
        .set    queried, CONFORMING+3
        QUERY   "LAR of conforming code looks at no DPL", 1, larl %eax, %edx
        QUERY   "VERR of conforming code looks at no DPL", 1, verr %ax
        QUERY   "VERW of a code segment clears ZF", 0, verw %ax
        .set    queried, READ_ONLY3
        QUERY   "VERR of a read-only segment", 1, verr %ax
        QUERY   "VERW of a read-only segment clears ZF", 0, verw %ax
        .set    queried, EXECUTE_ONLY3
        QUERY   "VERR of an execute-only segment clears ZF", 0, verr %ax
        .set    queried, BYTES3
        QUERY   "VERW of a writable segment", 1, verw %ax
        .set    queried, ABSENT3
        QUERY   "LAR of a segment that is not present succeeds", 1, larl %eax, %edx
        EQ      "LAR shows P clear", %edx, $0x00c0f300&~0x8000
        .set    queried, TSS_SELECTOR
        QUERY   "LAR of a TSS", 1, larl %eax, %edx
        EQ      "which is busy", %edx, $0x8b00
        QUERY   "LSL of a TSS", 1, lsll %eax, %edx
        EQ      "with its limit", %edx, $0x67
        QUERY   "VERR of a system descriptor clears ZF", 0, verr %ax
        .set    queried, CALL_GATE
        QUERY   "LAR of a call gate", 1, larl %eax, %edx
        QUERY   "LSL of a call gate clears ZF", 0, lsll %eax, %edx
        .set    queried, INTERRUPT_GATE
        QUERY   "LAR of an interrupt gate clears ZF", 0, larl %eax, %edx

        movl    $KERNEL_CS32, %eax
        RING3_BEGIN
        larl    %eax, %edx
        setz    %cl
        RING3_END
        movzbl  %cl, %ecx
        EQ      "LAR at CPL 3 of a segment of DPL 0 clears ZF", %ecx, $0

        movl    $0x10, %eax
        movl    $0x23, %edx
        arpl    %dx, %ax
        setz    %cl
        movzbl  %cl, %ecx
        EQ      "ARPL raises the RPL of the destination", %eax, $0x13
        EQ      "and sets ZF", %ecx, $1
        movl    $0x12, %eax
        movl    $0x21, %edx
        arpl    %dx, %ax
        setz    %cl
        movzbl  %cl, %ecx
        EQ      "ARPL leaves a higher RPL alone", %eax, $0x12
        EQ      "and clears ZF", %ecx, $0
        ret
