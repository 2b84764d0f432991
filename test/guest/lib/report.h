/*
 * Reporting on COM1, for one word size: included with WORD 4 or 8 and the register names A, B and so on.
 *
 *     check(name, got, expected) on the stack, which it releases:
 *         ok NAME
 *         not ok NAME: got 0x1 expected 0x2
 *     skip(name, reason):
 *         skip NAME: REASON
 *
 * All registers and flags are kept.
 */

/* AL to COM1, once the transmitter holding register is empty (16550A: LSR bit 5). */
L(put_byte):
        push    RD
        push    RA
        movl    $(COM1 + 5), %edx
1:      inb     %dx, %al
        testb   $0x20, %al
        jz      1b
        pop     RA
        movl    $COM1, %edx
        outb    %al, %dx
        pop     RD
        ret

/* The string at RS. */
L(put_string):
        lodsb
        testb   %al, %al
        jz      1f
        call    L(put_byte)
        jmp     L(put_string)
1:      ret

/* RB in hexadecimal without leading zeros. */
L(put_number):
        movl    $'0', %eax
        call    L(put_byte)
        movl    $'x', %eax
        call    L(put_byte)
        movl    $(WORD * 8), %ecx
1:      subl    $4, %ecx
        jz      2f
        mov     RB, RA
        shr     %cl, RA
        jz      1b
2:      mov     RB, RA
        shr     %cl, RA
        andl    $15, %eax
        movzbl  hex_digits(RA), %eax
        call    L(put_byte)
        subl    $4, %ecx
        jns     2b
        ret

L(put_line_end):
        movl    $'\n', %eax
        jmp     L(put_byte)

/* After SAVE the first argument of the caller lies at ARGUMENT(0). */
#define SAVE pushf; cld; push RA; push RB; push RC; push RD; push RS; push RF
#define RESTORE pop RF; pop RS; pop RD; pop RC; pop RB; pop RA; popf
#define ARGUMENT(n) ((8 + (n)) * WORD)(RSTACK)

        .globl  L(check)
L(check):
        SAVE
        mov     ARGUMENT(1), RA
        cmp     ARGUMENT(2), RA
        je      1f
        mov     $text_not, RS
        call    L(put_string)
1:      mov     $text_ok, RS
        call    L(put_string)
        mov     ARGUMENT(0), RS
        call    L(put_string)
        mov     ARGUMENT(1), RB
        cmp     ARGUMENT(2), RB
        je      1f
        mov     $text_got, RS
        call    L(put_string)
        call    L(put_number)
        mov     $text_expected, RS
        call    L(put_string)
        mov     ARGUMENT(2), RB
        call    L(put_number)
1:      call    L(put_line_end)
        RESTORE
        ret     $(3 * WORD)

        .globl  L(skip)
L(skip):
        SAVE
        mov     $text_skip, RS
        call    L(put_string)
        mov     ARGUMENT(0), RS
        call    L(put_string)
        mov     $text_colon, RS
        call    L(put_string)
        mov     ARGUMENT(1), RS
        call    L(put_string)
        call    L(put_line_end)
        RESTORE
        ret     $(2 * WORD)

/* An event that no test asked for: says which and ends the machine with another status. */
        .globl  L(unexpected)
L(unexpected):
        mov     $text_unexpected, RS
        call    L(put_string)
        mov     $event, RD
1:      mov     (RD), RB
        push    RD
        call    L(put_number)
        movl    $' ', %eax
        call    L(put_byte)
        pop     RD
        add     $8, RD
        cmp     $event + EV_CODE, RD
        jb      1b
        call    L(put_line_end)
        movl    $1, %eax
        movl    $DEBUG_EXIT, %edx
        outl    %eax, %dx
2:      hlt
        jmp     2b

#undef SAVE
#undef RESTORE
#undef ARGUMENT
