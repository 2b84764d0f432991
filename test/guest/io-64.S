/* Input and output: IOPL, I/O permission bitmap (SDM vol. 1 19.5), INS and OUTS. */
#include "lib/test64.h"

#define BITMAP tss64_end
#define PORT 0x80

        .text
        .code64
        .globl  main64
main64:
        TRY3    outb %al, $PORT
        FAULTS  "OUT at CPL 3 with IOPL 0 and no bitmap raises #GP(0)", GP, 0
        RING3_BEGIN FLAG_IOPL|2
        outb    %al, $PORT
        inb     $PORT, %al
        RING3_END
        RUNS3   "IN and OUT at CPL 3 with IOPL 3"

        /* The TSS gets a bitmap for ports 0-FFFFH, all denied, and its last byte. */
        movq    $BITMAP, %rdi
        movl    $8193, %ecx
        movb    $0xff, %al
        rep stosb
        movw    $0x68, tss64 + 0x66
        movl    $(0x68 + 8192), %eax
        call    set_tss_limit
        TRY3    outb %al, $PORT
        FAULTS  "a set bit of the I/O bitmap denies its port", GP, 0
        andb    $0xfe, BITMAP + PORT / 8
        TRY3    outb %al, $PORT
        RUNS3   "a clear bit of the I/O bitmap permits its port"
        TRY3    inb $PORT, %al
        RUNS3   "for input too"
        TRY3    outb %al, $PORT+1
        FAULTS  "but not the next port", GP, 0
        TRY3    outw %ax, $PORT
        FAULTS  "a word needs the bits of both of its ports", GP, 0
        andb    $0xfc, BITMAP + PORT / 8
        TRY3    outw %ax, $PORT
        RUNS3   "a word with both bits clear"
        TRY3    outl %eax, $PORT
        FAULTS  "a doubleword needs four bits", GP, 0
        /* Bits of two bytes of the bitmap. */
        movl    $0x87, %edx
        andb    $0x7f, BITMAP + PORT / 8
        RING3_BEGIN
        AT
        outw    %ax, %dx
        RING3_END
        FAULTS  "a word across two bytes of the bitmap needs the bit in the second", GP, 0
        andb    $0xfe, BITMAP + PORT / 8 + 1
        RING3_BEGIN
        AT
        outw    %ax, %dx
        RING3_END
        RUNS3   "a word across two bytes of the bitmap with both bits clear"
        /* The limit ends the bitmap: two bytes are always read. */
        movl    $(0x68 + PORT / 8), %eax
        call    set_tss_limit
        TRY3    outb %al, $PORT
        FAULTS  "the byte behind the port's byte of the bitmap must lie within the TSS limit", GP, 0
        movl    $(0x68 + PORT / 8 + 1), %eax
        call    set_tss_limit
        TRY3    outb %al, $PORT
        RUNS3   "it lies within the limit"
        TRY     outb %al, $PORT+9
        RUNS    "CPL 0 looks at no bitmap"

        call    strings
        ret

/* EAX = limit of the TSS: reloads TR, whose descriptor must not be busy. */
set_tss_limit:
        movw    %ax, gdt + TSS_SELECTOR
        movb    $0x89, gdt + TSS_SELECTOR + 5
        movl    $TSS_SELECTOR, %eax
        ltr     %ax
        ret

strings: /* The line status register (LSR) of COM1 is the same however often it is read: 60H when idle. */
1:      movl    $COM1 + 5, %edx
        inb     %dx, %al
        cmpb    $0x60, %al
        jne     1b
        movabsq $0x1122334455667788, %rax
        movq    %rax, free_pages
        movq    $free_pages, %rdi
        movl    $3, %ecx
        rep insb
        movabsq $0x1122334455606060, %rax
        EQ      "REP INSB stores ECX bytes", free_pages, %rax
        EQ      "REP INSB leaves RCX zero", %rcx, $0
        EQ      "REP INSB moves RDI", %rdi, $free_pages+3
        std
        insb
        cld
        EQ      "INSB with DF set moves RDI down", %rdi, $free_pages+2
        /* The scratch register keeps the last byte. */
        movl    $COM1 + 7, %edx
        movl    $0x00beef5a, free_pages + 8
        movq    $free_pages + 8, %rsi
        movl    $2, %ecx
        rep outsb
        inb     %dx, %al
        movzbl  %al, %eax
        EQ      "REP OUTSB puts out bytes in order", %rax, $0xef
        EQ      "REP OUTSB moves RSI", %rsi, $free_pages+10
        /* Faults: nothing of the iteration that faults has happened. */
        movabsq $1 << 63, %rdi
        movl    $COM1 + 7, %edx
        movl    $1, %ecx
        TRY     rep insb
        FAULTS  "INSB to a non-canonical address raises #GP(0)", GP, 0
        EQ      "with RCX as it was", %rcx, $1
        TRY3    outsb
        FAULTS  "OUTSB at CPL 3 with the port denied raises #GP(0)", GP, 0
        ret
