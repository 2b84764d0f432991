/*
 * Self-modifying code (SDM vol. 3A 8.1.3, 11.6): a store to the instruction stream is seen by the next
 * instruction, when both use the same linear address, without any serialising instruction.
 */
#include "lib/test64.h"
#include "lib/paging.h"

        .text
        .code64
        .globl  main64
main64:
        xorl    %eax, %eax
        movb    $0x90, 7720f                    /* NOP over INC's first byte */
        movb    $0x90, 7720f + 1
7720:   incl    %eax
        EQ      "a store that changes the next instruction", %rax, $0
        /* In a loop: the immediate grows each round. */
        xorl    %eax, %eax
        movl    $100, %ecx
1:      addl    $1, %eax
7720:   .byte   0x05                            /* ADD EAX, imm32 */
        .long   0
        addl    $2, 7720b + 1
        decl    %ecx
        jnz     1b
        EQ      "a loop that changes its own immediate", %rax, $100+9900
        /* The same page, a function called before and after. */
        call    returns_one
        EQ      "a function before it is changed", %rax, $1
        movl    $7, returns_one + 1
        call    returns_one
        EQ      "a function after it is changed", %rax, $7
        movl    $1, returns_one + 1
        /* Through another linear address of the same memory, after a serialising instruction. */
        movl    $9, USER_ALIAS + returns_one + 1
        xorl    %eax, %eax
        cpuid
        call    returns_one
        EQ      "a change through another linear address, after CPUID", %rax, $9
        movl    $1, returns_one + 1

        /* A long hot loop, then the change: translated code has to go. */
        movl    $20000, %ecx
        xorl    %ebx, %ebx
1:      call    returns_one
        addl    %eax, %ebx
        decl    %ecx
        jnz     1b
        EQ      "a hot function before it is changed", %rbx, $20000
        movl    $3, returns_one + 1
        movl    $20000, %ecx
        xorl    %ebx, %ebx
1:      call    returns_one
        addl    %eax, %ebx
        decl    %ecx
        jnz     1b
        EQ      "a hot function after it is changed", %rbx, $60000

        /* Code on a page of its own, copied there again and again. */
        movl    $PAGE(1), %ebp
        MAP     1, PTE_P+PTE_W
        MAP     2, PTE_P+PTE_W
        xorl    %ebx, %ebx
        movl    $50, %ecx
1:      movb    $0xb8, 0x100(%rbp)              /* MOV EAX, ECX's value; RET */
        movl    %ecx, 0x101(%rbp)
        movb    $0xc3, 0x105(%rbp)
        leaq    0x100(%rbp), %rax
        call    *%rax
        addl    %eax, %ebx
        decl    %ecx
        jnz     1b
        EQ      "code written anew before each call", %rbx, $50*51/2
        /* An instruction across two pages, changed in the second. */
        movb    $0xb8, 0xffe(%rbp)
        movl    $0x11223344, 0xfff(%rbp)
        movb    $0xc3, 0x1003(%rbp)
        leaq    0xffe(%rbp), %rsi
        call    *%rsi
        EQ      "an instruction across two pages", %rax, $0x11223344
        movb    $0x55, 0x1002(%rbp)
        call    *%rsi
        EQ      "changed in its second page", %rax, $0x55223344
        movb    $0x66, 0xfff(%rbp)
        call    *%rsi
        EQ      "changed in its first page", %rax, $0x55223366
        /* The second page becomes another one. */
        movl    $0x00998877, free_pages + 5 * 4096
        movb    $0xc3, free_pages + 5 * 4096 + 3
        MAP     2, PTE_P+PTE_W, 5
        call    *%rsi
        movl    $0x99887766, %edx
        EQ      "after its second page was mapped elsewhere", %rax, %rdx
        /* REP MOVS over code that is executed next. */
        movq    $template, %rsi
        leaq    0x200(%rbp), %rdi
        movl    $template_end - template, %ecx
        rep movsb
        leaq    0x200(%rbp), %rax
        call    *%rax
        EQ      "code copied by REP MOVS", %rax, $42
        movq    $template2, %rsi
        leaq    0x200(%rbp), %rdi
        movl    $template_end - template, %ecx
        rep movsb
        leaq    0x200(%rbp), %rax
        call    *%rax
        EQ      "and copied over", %rax, $43
        ret

returns_one:
        movl    $1, %eax
        ret
template:
        movl    $42, %eax
        ret
template_end:
template2:
        movl    $43, %eax
        ret
