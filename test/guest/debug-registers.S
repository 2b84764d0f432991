/* Debug registers: breakpoints, DR6, DR7, general detect (SDM vol. 3B 18.2). */
#include "lib/test64.h"

/* DR7: L0-L3 are bits 0, 2, 4, 6; GD is 13; R/Wn and LENn begin at bit 16 + 4n. */
#define EXECUTE 0
#define WRITE 1
#define IO 2
#define READ_WRITE 3
#define LENGTH_1 0
#define LENGTH_2 1
#define LENGTH_8 2
#define LENGTH_4 3
#define BREAK(n, kind, length) (1 << ((n) * 2) | ((kind) | (length) << 2) << (16 + (n) * 4))
#define DR7_GD (1 << 13)
#define DR6_MASK 0xe00f /* B0-B3, BD, BS, BT */
#define DR6_BD (1 << 13)

        .macro  SET_DR n:req, value:req
        movq    \value, %rax
        movq    %rax, %dr\n
        .endm

        .macro  CLEAR_DR6
        movl    $0xffff0ff0, %eax
        movq    %rax, %dr6
        .endm

        .macro  DR6_IS name:req, want:req
        movq    %dr6, %rax
        andl    $DR6_MASK, %eax
        EQ      "\name", %rax, \want
        xorl    %eax, %eax
        movq    %rax, %dr7
        CLEAR_DR6
        .endm

        .text
        .code64
        .globl  main64
main64:
        CLEAR_DR6
        call    registers
        call    instruction
        call    data
        call    io
        ret

registers:
        movl    $0x400, %eax
        movq    %rax, %dr7
        movq    %dr7, %rax
        EQ      "DR7: bit 10 is always 1", %rax, $0x400
        movl    $0xffffffff, %eax
        movq    %rax, %dr6
        movq    %dr6, %rax
        andl    $0xffff1ff0, %eax
        movl    $0xffff0ff0, %edx
        EQ      "DR6: bits 4-11 and 16-31 are always 1, bit 12 is always 0", %rax, %rdx
        xorl    %eax, %eax
        movq    %rax, %dr6
        movq    %dr6, %rax
        EQ      "DR6 cleared reads FFFF0FF0H", %rax, %rdx
        movabsq $1 << 32, %rax
        TRY     movq %rax, %dr7
        FAULTS  "MOV to DR7 with bits 32-63 set raises #GP(0)", GP, 0
        TRY     movq %rax, %dr6
        FAULTS  "MOV to DR6 with bits 32-63 set raises #GP(0)", GP, 0
        TRY3    movq %dr0, %rax
        FAULTS  "MOV from a debug register at CPL 3 raises #GP(0)", GP, 0
        /* CR4.DE: DR4 and DR5 are aliases of DR6 and DR7 without it. */
        CLEAR_DR6
        .byte   0x0f, 0x21, 0xe0                /* MOV RAX, DR4 */
        EQ      "DR4 is DR6 while CR4.DE is clear", %rax, %rdx
        SET_CR  cr4, CR4_DE
        TRY     .byte 0x0f, 0x21, 0xe0
        FAULTS  "DR4 is #UD while CR4.DE is set", UD, 0
        /* General detect. */
        movl    $DR7_GD, %eax
        movq    %rax, %dr7
        TRY     movq %dr0, %rbx
        FAULTS  "MOV from a debug register with DR7.GD set raises #DB as a fault", DB, 0
        movq    %dr6, %rax
        andl    $DR6_MASK, %eax
        EQ      "it sets DR6.BD", %rax, $DR6_BD
        movq    %dr7, %rax
        EQ      "GD is cleared on entry to the handler", %rax, $0x400
        CLEAR_DR6
        ret

instruction:
        SET_DR  0, $7720f
        SET_DR  7, $BREAK(0,EXECUTE,LENGTH_1)
        xorl    %ecx, %ecx
        TRY_BEGIN
        AT
7720:   incl    %ecx
        TRY_END
        FAULTS  "an instruction breakpoint raises #DB as a fault", DB, 0
        EQ      "before the instruction has executed", %rcx, $0
        testl   $FLAG_RF, event + EV_RFLAGS
        setnz   %cl
        EQ      "its frame does not hold RF, unlike that of other faults", %rcx, $0
        DR6_IS  "B0 says which", $1
        /* IRETQ with RF set lets it execute. */
        movq    $resume, hook
        movq    $0, event + EV_COUNT
        SET_DR  0, $7720f
        SET_DR  7, $BREAK(0,EXECUTE,LENGTH_1)
        xorl    %ecx, %ecx
7720:   incl    %ecx
        nop
        xorl    %eax, %eax
        movq    %rax, %dr7
        movq    $0, hook
        EQ      "IRETQ with RF set executes the instruction at the breakpoint", %rcx, $1
        EQ      "which is hit once", event+EV_COUNT, $1
        DR6_IS  "DR6 was set by the hit", $1
        SET_DR  3, $7721f
        SET_DR  7, $BREAK(3,EXECUTE,LENGTH_1)
        movl    $KERNEL_DS, %eax
        TRY_BEGIN
        AT
        movl    %eax, %ss
7721:   nop
        TRY_END
        RUNS    "an instruction breakpoint behind MOV SS does not hit"
        DR6_IS  "nor does it set DR6", $0
        /* Not enabled. */
        SET_DR  0, $7721f
        SET_DR  7, $0
        TRY_BEGIN
7721:   nop
        TRY_END
        RUNS    "a breakpoint without L or G does not hit"
        /* The G bit serves as well. */
        SET_DR  1, $7721f
        SET_DR  7, $8
        TRY_BEGIN
        AT
7721:   nop
        TRY_END
        FAULTS  "a breakpoint with G alone hits", DB, 0
        DR6_IS  "B1 says which", $2
        /* In a loop: hit in every round. */
        movq    $resume, hook
        movq    $0, event + EV_COUNT
        SET_DR  2, $7721f
        SET_DR  7, $BREAK(2,EXECUTE,LENGTH_1)
        movl    $5, %ecx
7721:   decl    %ecx
        jnz     7721b
        xorl    %eax, %eax
        movq    %rax, %dr7
        movq    $0, hook
        EQ      "a breakpoint in a loop hits in every round", event+EV_COUNT, $5
        DR6_IS  "B2 says which", $4
        ret

/* RDI = frame: sets RF in it. */
resume: orq     $FLAG_RF, 16(%rdi)
        ret

data:   movq    $free_pages, %rsi
        SET_DR  0, $free_pages+8
        SET_DR  7, $BREAK(0,WRITE,LENGTH_4)
        TRY_BEGIN
        AT
        movl    $7, 8(%rsi)
        TRY_END
        FAULTS  "a data breakpoint raises #DB as a trap, behind the write", DB, 0, 7
        EQ      "the write has happened", free_pages+8, $7
        DR6_IS  "B0 says that it was the first", $1
        .macro  DATA name:req, kind:req, length:req, hits:req, instruction:vararg
        SET_DR  0, $free_pages+8
        SET_DR  7, $BREAK(0,\kind,\length)
        TRY     \instruction
        DR6_IS  "\name", $\hits
        .endm
        DATA    "a write breakpoint does not hit on reads", WRITE, LENGTH_4, 0, movl 8(%rsi), %eax
        DATA    "a read-write breakpoint hits on reads", READ_WRITE, LENGTH_4, 1, movl 8(%rsi), %eax
        DATA    "a read-write breakpoint hits on writes", READ_WRITE, LENGTH_4, 1, movl %eax, 8(%rsi)
        DATA    "a 4-byte breakpoint hits on its last byte", WRITE, LENGTH_4, 1, movb %al, 11(%rsi)
        DATA    "a 4-byte breakpoint does not hit behind its last byte", WRITE, LENGTH_4, 0, movb %al, 12(%rsi)
        DATA    "a 1-byte breakpoint hits on any access that covers it", WRITE, LENGTH_1, 1, movq %rax, 1(%rsi)
        DATA    "a 1-byte breakpoint does not hit on its neighbours", WRITE, LENGTH_1, 0, movw %ax, 9(%rsi)
        DATA    "a 2-byte breakpoint hits on its second byte", WRITE, LENGTH_2, 1, movb %al, 9(%rsi)
        DATA    "an 8-byte breakpoint hits on its last byte", WRITE, LENGTH_8, 1, movb %al, 15(%rsi)
        SET_DR  0, $free_pages+0x100
        SET_DR  7, $BREAK(0,WRITE,LENGTH_8)
        TRY_BEGIN
        movq    $free_pages + 0x108, %rsp
        AT
        pushq   %rax
        TRY_END
        FAULTS  "a data breakpoint on the stack hits behind PUSH", DB, 0, 1
        DR6_IS  "and says so", $1
        /* Two at once. */
        SET_DR  0, $free_pages+8
        SET_DR  1, $free_pages+12
        SET_DR  7, $BREAK(0,WRITE,LENGTH_4)+BREAK(1,WRITE,LENGTH_4)
        TRY     movq %rax, 8(%rsi)
        DR6_IS  "a write over two breakpoints sets both bits", $3
        /* REP: after the iteration that touched it. */
        movq    $free_pages, %rdi
        movl    $32, %ecx
        SET_DR  0, $free_pages+5
        SET_DR  7, $BREAK(0,WRITE,LENGTH_1)
        TRY     rep stosb
        FAULTS  "a data breakpoint inside REP STOSB: RIP is still at it", DB, 0
        EQ      "RCX counts the iterations left after the one that hit", %rcx, $26
        DR6_IS  "B0 is set", $1
        /* A write that faults is no hit. */
        SET_DR  0, $free_pages+8
        SET_DR  7, $BREAK(0,WRITE,LENGTH_4)
        movabsq $1 << 63, %rbx
        TRY     movl %eax, (%rbx)
        FAULTS  "a fault elsewhere with data breakpoints armed", GP, 0
        DR6_IS  "sets nothing in DR6", $0
        ret

io:     SET_CR  cr4, CR4_DE
        SET_DR  0, $0x80
        SET_DR  7, $BREAK(0,IO,LENGTH_1)
        TRY     outb %al, $0x80
        FAULTS  "an I/O breakpoint raises #DB as a trap", DB, 0, 2
        DR6_IS  "B0 says which it was", $1
        SET_DR  0, $0x80
        SET_DR  7, $BREAK(0,IO,LENGTH_1)
        TRY     inb $0x81, %al
        RUNS    "an I/O breakpoint does not hit on other ports"
        DR6_IS  "no bit says otherwise", $0
        SET_DR  0, $0x84
        SET_DR  7, $BREAK(0,IO,LENGTH_4)
        TRY     inb $0x87, %al
        FAULTS  "an I/O breakpoint of 4 bytes covers 4 ports, for input too", DB, 0, 2
        DR6_IS  "B0 says so", $1
        movq    $free_pages, %rsi
        movl    $0x80, %edx
        movl    $3, %ecx
        SET_DR  0, $0x80
        SET_DR  7, $BREAK(0,IO,LENGTH_1)
        TRY     rep outsb
        FAULTS  "an I/O breakpoint inside REP OUTSB: after its first iteration", DB, 0
        EQ      "two iterations are left", %rcx, $2
        DR6_IS  "B0 is set by it", $1
        CLEAR_CR cr4, CR4_DE
        SET_DR  0, $0x80
        SET_DR  7, $BREAK(0,IO,LENGTH_1)
        TRY     outb %al, $0x80
        RUNS    "without CR4.DE there are no I/O breakpoints"
        DR6_IS  "nothing is set", $0
        ret
