/* Limits of data, expand-down, stack and code segments in 32-bit protected mode (SDM vol. 3A 5.3). */
#include "lib/test32.h"

#define SMALL FREE_SELECTOR                     /* data, limit FFFH */
#define DOWN (FREE_SELECTOR + 0x08)             /* data, expand-down, limit FFFH, B = 1 */
#define DOWN16 (FREE_SELECTOR + 0x10)           /* data, expand-down, limit FFFH, B = 0 */
#define SMALL_CODE (FREE_SELECTOR + 0x18)       /* code, limit FH */
#define DATA (SEG_P|SEG_S|SEG_RW|SEG_D)

        .text
        .code32
        .globl  main32
main32:
        DESCRIPTOR SMALL, 0, 0xfff, DATA
        DESCRIPTOR_BASE SMALL, free_pages
        DESCRIPTOR DOWN, 0, 0xfff, (DATA|SEG_DC)
        DESCRIPTOR_BASE DOWN, free_pages
        DESCRIPTOR DOWN16, 0, 0xfff, (SEG_P|SEG_S|SEG_RW|SEG_DC)
        DESCRIPTOR_BASE DOWN16, free_pages
        DESCRIPTOR SMALL_CODE, 0, 0xf, (SEG_P|SEG_S|SEG_CODE|SEG_RW|SEG_D)
        movl    $SMALL, %eax
        movl    %eax, %fs
        TRY     movl %fs:0xffc, %ecx
        RUNS    "a doubleword that ends at the segment limit"
        TRY     movl %fs:0xffd, %ecx
        FAULTS  "a doubleword that ends beyond the segment limit raises #GP(0)", GP, 0
        TRY     movb %fs:0xfff, %cl
        RUNS    "a byte at the segment limit"
        TRY     movb %cl, %fs:0x1000
        FAULTS  "a byte beyond the segment limit raises #GP(0)", GP, 0
        TRY     movl %fs:-2, %ecx
        FAULTS  "an operand that wraps around 4 GiB raises #GP(0)", GP, 0
        movl    $DOWN, %eax
        movl    %eax, %fs
        TRY     movb %fs:0xfff, %cl
        FAULTS  "an expand-down segment: its limit is outside", GP, 0
        TRY     movb %fs:0x1000, %cl
        RUNS    "an expand-down segment: what lies above its limit is inside"
        TRY     movb %fs:0x12000, %cl
        RUNS    "an expand-down segment with B set reaches beyond 64 KiB"
        movl    $DOWN16, %eax
        movl    %eax, %fs
        TRY     movb %fs:0xffff, %cl
        RUNS    "an expand-down segment with B clear reaches to FFFFH"
        TRY     movb %fs:0x10000, %cl
        FAULTS  "an expand-down segment with B clear ends there", GP, 0
        /* The stack segment: #SS. The handler finds room for its frame below 800H. */
        movl    $SMALL, %eax
        TRY_BEGIN
        movl    %eax, %ss
        movl    $0x800, %esp
        movl    $0xffd, %ebp
        AT
        movl    (%ebp), %ecx
        TRY_END
        FAULTS  "an access beyond the limit of SS raises #SS(0)", SS_, 0
        TRY_BEGIN
        movl    %eax, %ss
        movl    $0x800, %esp
        AT
        movl    %ds:(%ebp), %ecx
        TRY_END
        RUNS    "not if DS is meant"
        movl    $KERNEL_DS, %eax
        movl    %eax, %ss
        movl    try_rsp, %esp
        /* Code segment limit. */
        DESCRIPTOR_BASE SMALL_CODE, small_code
        TRY     ljmpl $SMALL_CODE, $0x10
        FAULTS  "JMP far beyond the target's limit raises #GP(0)", GP, 0
        TRY     ljmpl $SMALL_CODE, $0
        EQ      "execution beyond the CS limit raises #GP", event+EV_VECTOR, $GP
        EQ      "with RIP at the instruction that reaches beyond", event+EV_RIP, $14
        ret

/* 14 bytes of NOP, then an instruction of 5 bytes across the limit. */
small_code:
        .fill   14, 1, 0x90
        movl    $0, %eax
