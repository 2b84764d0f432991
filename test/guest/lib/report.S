/* Reporting from 32-bit and from 64-bit code. */
#include "arch.h"

        .text
        .code32
#define WORD 4
#define L(name) name##32
#define RA %eax
#define RB %ebx
#define RC %ecx
#define RD %edx
#define RS %esi
#define RF %edi
#define RSTACK %esp
#include "report.h"
#undef WORD
#undef L
#undef RA
#undef RB
#undef RC
#undef RD
#undef RS
#undef RF
#undef RSTACK

        .code64
#define WORD 8
#define L(name) name##64
#define RA %rax
#define RB %rbx
#define RC %rcx
#define RD %rdx
#define RS %rsi
#define RF %rdi
#define RSTACK %rsp
#include "report.h"

        .section .rodata
hex_digits: .ascii "0123456789abcdef"
text_not: .asciz "not "
text_ok: .asciz "ok "
text_got: .asciz ": got "
text_expected: .asciz " expected "
text_skip: .asciz "skip "
text_colon: .asciz ": "
text_unexpected: .asciz "unexpected event (vector error RIP CS RFLAGS RSP SS CR2 frame count): "

        .section .note.GNU-stack, "", @progbits
