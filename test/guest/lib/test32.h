/* Macros of tests in 32-bit protected mode, paging off. A test is the function main32 of one file. */
#define WORD_PUSH pushl
#define WORD_MOVE movl
#define STACK_POINTER %esp
#define CHECK check32
#define SKIP skip32
#include "check.h"

        .macro  SEGMENTS selector:req
        pushl   %eax
        movl    $\selector, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        popl    %eax
        .endm

/* CPL 3 with flat segments; other registers are kept. */
        .macro  RING3_BEGIN flags=2
        TRY_BEGIN
        SEGMENTS USER_DS
        pushl   $USER_DS
        pushl   $user_stack_top
        pushl   $\flags
        pushl   $USER_CS32
        pushl   $7703f
        iretl
7703:
        .endm

        .macro  SET_CR register:req, bits:req
        movl    %\register, %eax
        orl     $\bits, %eax
        movl    %eax, %\register
        .endm

        .macro  CLEAR_CR register:req, bits:req
        movl    %\register, %eax
        andl    $~(\bits), %eax
        movl    %eax, %\register
        .endm

        .macro  WRITE_MSR index:req, low:req, high=$0
        movl    $\index, %ecx
        movl    \low, %eax
        movl    \high, %edx
        wrmsr
        .endm

/* A gate of the IDT. Clobbers EAX, ECX, EDX, EBX. */
        .macro  GATE vector:req, dpl=0, type=14, selector=KERNEL_CS32
        movl    $\vector, %ecx
        movl    $\selector, %edx
        movl    $(0x8000|(\dpl<<13)|(\type<<8)), %ebx
        call    set_gate32
        .endm

/* A descriptor of the GDT whose base is a constant. */
        .macro  DESCRIPTOR selector:req, base:req, limit:req, attributes:req
        movl    $(((\limit)&0xffff)|(((\base)&0xffff)<<16)), gdt+\selector
        movl    $((((\base)>>16)&0xff)|(((\attributes)|(((\limit)>>8)&0xf00))<<8)|((\base)&0xff000000)), gdt+\selector+4
        .endm

/* The base of a descriptor, from a register. Clobbers EAX. */
        .macro  DESCRIPTOR_BASE selector:req, symbol:req
        movl    $\symbol, %eax
        movw    %ax, gdt+\selector+2
        shrl    $16, %eax
        movb    %al, gdt+\selector+4
        movb    %ah, gdt+\selector+7
        .endm
