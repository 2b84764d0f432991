/* Exceptions of 32-bit protected mode: error codes, frames, segment checks (SDM vol. 3A chapters 5 and 6). */
#include "lib/test32.h"

#define READ_ONLY (FREE_SELECTOR + 0x18)
#define EXECUTE_ONLY (FREE_SELECTOR + 0x20)
#define ABSENT (FREE_SELECTOR + 0x28)
#define FRESH (FREE_SELECTOR + 0x30)            /* data, not accessed */
#define ABSENT_STACK (FREE_SELECTOR + 0x40)
#define DATA (SEG_P|SEG_S|SEG_RW|SEG_D)

        .text
        .code32
        .globl  main32
main32:
        DESCRIPTOR READ_ONLY, 0, 0xfffff, (SEG_P|SEG_S|SEG_D|SEG_G)
        DESCRIPTOR EXECUTE_ONLY, 0, 0xfffff, (SEG_P|SEG_S|SEG_CODE|SEG_D|SEG_G)
        DESCRIPTOR ABSENT, 0, 0xfffff, (SEG_S|SEG_RW|SEG_D|SEG_G)
        DESCRIPTOR FRESH, 0, 0xfffff, (DATA|SEG_G)
        call    instructions
        call    loads
        call    frames
        call    alignment
        ret

instructions:
        TRY     .byte 0xd4, 0x00
        FAULTS  "AAM 0 raises #DE", DE, 0
        movl    $0x7fffffff, %eax
        TRY_BEGIN
        incl    %eax
        AT
        into
        TRY_END
        FAULTS  "INTO with OF set raises #OF as a trap", OF, 0, 1
        xorl    %eax, %eax
        TRY     into
        RUNS    "INTO with OF clear"
        movl    $10, free_pages
        movl    $20, free_pages + 4
        movl    $21, %eax
        TRY     boundl %eax, free_pages
        FAULTS  "BOUND with an index above the upper bound raises #BR as a fault", BR, 0
        movl    $20, %eax
        TRY     boundl %eax, free_pages
        RUNS    "BOUND with the upper bound itself"
        movl    $-1, %eax
        TRY     boundl %eax, free_pages
        FAULTS  "BOUND compares signed numbers", BR, 0
        TRY     .byte 0x62, 0xc0
        FAULTS  "BOUND with a register operand is #UD", UD, 0
        TRY     .byte 0xc5, 0xc0
        FAULTS  "LDS with a register operand is #UD", UD, 0
        TRY     .byte 0x0f, 0x05
        FAULTS  "SYSCALL outside 64-bit mode is #UD", UD, 0
        TRY     .byte 0x0f, 0x01, 0xf8
        FAULTS  "SWAPGS outside 64-bit mode is #UD", UD, 0
        TRY     .byte 0xf0, 0x8b, 0x00
        FAULTS  "LOCK before a load is #UD", UD, 0
        TRY     int $0x42
        FAULTS  "INT n at CPL 0", 0x42, 0, 2
        TRY3    int $0x42
        FAULTS  "INT n at CPL 3 through a gate of DPL 0 raises #GP with the vector, IDT bit set", GP, 0x42*8+2
        RING3_BEGIN
        movl    $0x7fffffff, %eax
        incl    %eax
        AT
        into
        RING3_END
        FAULTS  "INTO at CPL 3 passes a gate of DPL 3", OF, 0, 1
        ret

        .macro  LOAD name:req, selector:req, vector:req, error:req, register=ds
        movl    $\selector, %eax
        TRY     movl %eax, %\register
        FAULTS  "\name", \vector, \error
        .endm

loads:  LOAD    "MOV DS of a selector beyond the GDT raises #GP with the selector", 0x7f8, GP, 0x7f8
        LOAD    "MOV DS of an execute-only segment raises #GP with the selector", EXECUTE_ONLY, GP, EXECUTE_ONLY
        LOAD    "MOV DS of a system descriptor raises #GP with the selector", TSS_SELECTOR, GP, TSS_SELECTOR
        LOAD    "MOV DS with RPL above DPL raises #GP with the selector", KERNEL_DS+3, GP, KERNEL_DS
        LOAD    "MOV DS of a segment that is not present raises #NP with the selector", ABSENT, NP, ABSENT
        LOAD    "MOV SS of a null selector raises #GP(0)", 0, GP, 0, ss
        LOAD    "MOV SS of a read-only segment raises #GP with the selector", READ_ONLY, GP, READ_ONLY, ss
        LOAD    "MOV SS of a code segment raises #GP with the selector", KERNEL_CS32, GP, KERNEL_CS32, ss
        LOAD    "MOV SS with RPL unlike CPL raises #GP with the selector", KERNEL_DS+3, GP, KERNEL_DS, ss
        LOAD    "MOV SS with DPL unlike CPL raises #GP with the selector", 0x28, GP, 0x28, ss
        LOAD    "MOV SS of a segment that is not present raises #SS with the selector", ABSENT, SS_, ABSENT, ss
        xorl    %eax, %eax
        lldt    %ax
        LOAD    "a selector of the LDT without an LDT raises #GP with the selector, TI set", 0x0c, GP, 0x0c
        movl    $READ_ONLY, %eax
        TRY     movl %eax, %fs
        RUNS    "MOV FS of a read-only segment"
        TRY     movl %eax, %fs:free_pages
        FAULTS  "a write to a read-only segment raises #GP(0)", GP, 0
        TRY     movl %eax, %cs:free_pages
        FAULTS  "a write to a code segment raises #GP(0)", GP, 0
        xorl    %eax, %eax
        TRY     movl %eax, %fs
        RUNS    "MOV FS of a null selector"
        TRY     movl %fs:free_pages, %ecx
        FAULTS  "an access through a null segment register raises #GP(0)", GP, 0
        movl    $FRESH, %eax
        movl    %eax, %fs
        movzbl  gdt + FRESH + 5, %eax
        EQ      "loading a segment register sets the descriptor's accessed bit", %eax, $0x93
        /* An LDT. */
        movl    $0x0000ffff, ldt + 8
        movl    $0x00cf9300, ldt + 12
        DESCRIPTOR LDT_SELECTOR, 0, 15, (SEG_P|2)
        DESCRIPTOR_BASE LDT_SELECTOR, ldt
        movl    $LDT_SELECTOR, %eax
        lldt    %ax
        movl    $0x0c, %eax
        TRY     movl %eax, %fs
        RUNS    "a selector with TI set takes its descriptor from the LDT"
        LOAD    "a selector beyond the LDT raises #GP with the selector", 0x14, GP, 0x14
        sldt    %eax
        movzwl  %ax, %eax
        EQ      "SLDT stores the selector", %eax, $LDT_SELECTOR
        movl    $KERNEL_DS, %eax
        TRY     lldt %ax
        FAULTS  "LLDT of a data segment raises #GP with the selector", GP, KERNEL_DS
        xorl    %eax, %eax
        lldt    %ax
        LOAD    "after LLDT of a null selector there is no LDT", 0x0c, GP, 0x0c
        movl    $TSS_SELECTOR, %eax
        TRY     ltr %ax
        FAULTS  "LTR of a busy TSS raises #GP with the selector", GP, TSS_SELECTOR
        xorl    %eax, %eax
        TRY     ltr %ax
        FAULTS  "LTR of a null selector raises #GP(0)", GP, 0
        movb    $0x89, gdt + TSS_SELECTOR + 5
        movl    $TSS_SELECTOR, %eax
        ltr     %ax
        ret

frames: TRY_BEGIN
        movl    $free_pages + 0x803, %esp
        int     $0x42
        TRY_END
        EQ      "without a change of CPL the frame is EFLAGS, CS, EIP: no alignment", event+EV_FRAME, $free_pages+0x803-12
        RING3_BEGIN
        RING3_END
        EQ      "a change to CPL 0 takes SS0:ESP0 from the TSS", event+EV_FRAME, $ring0_stack_top-20
        EQ      "its frame holds ESP", event+EV_RSP, $user_stack_top
        movzwl  event + EV_SS, %eax
        EQ      "its frame holds SS", %eax, $USER_DS
        /* A 16-bit gate pushes words. Its handler lies below 64 KiB, where 16 bits reach. */
        GATE    0x42, 0, 6
        movw    $word_handler, idt32 + 0x42 * 8
        movw    $0, idt32 + 0x42 * 8 + 6        /* reserved in a 16-bit gate */
        TRY_BEGIN
        movl    %esp, %ebx
        int     $0x42
        TRY_END
        EQ      "a 16-bit gate pushes 6 bytes", word_frame, $6
        EQ      "the flags image has 16 bits", word_flags, $2
        GATE    0x42
        ret

        .section .low, "ax"
        .code32
word_handler:
        movl    %ebx, %eax
        subl    %esp, %eax
        movl    %eax, word_frame
        movzwl  4(%esp), %eax
        movl    %eax, word_flags
        ud2
        .text

alignment:
        SET_CR  cr0, CR0_AM
        movl    $free_pages + 1, %edi
        RING3_BEGIN FLAG_AC|2
        AT
        movl    (%edi), %eax
        RING3_END
        FAULTS  "a misaligned access at CPL 3 with CR0.AM and EFLAGS.AC raises #AC(0)", AC, 0
        RING3_BEGIN 2
        movl    (%edi), %eax
        RING3_END
        RUNS3   "a misaligned access at CPL 3 with AC clear"
        TRY_BEGIN
        pushl   $(FLAG_AC|2)
        popfl
        movl    (%edi), %eax
        TRY_END
        RUNS    "a misaligned access at CPL 0 with AC set"
        pushl   $2
        popfl
        RING3_BEGIN FLAG_AC|2
        movb    (%edi), %al
        movw    1(%edi), %ax
        RING3_END
        RUNS3   "bytes, and a word at an even address, are aligned"
        RING3_BEGIN FLAG_AC|2
        AT
        movw    (%edi), %ax
        RING3_END
        FAULTS  "a word at an odd address with AC set raises #AC(0)", AC, 0
        CLEAR_CR cr0, CR0_AM
        ret

        .bss
        .balign 8
ldt:    .skip   16
word_frame: .skip 4
word_flags: .skip 4
