/* Real-address mode: vectors, interrupts, faults, segments, and the ways in and out (SDM vol. 3A 9.9, 20.1). */
#include "lib/test32.h"

        .text
        .code32
        .globl  main32
main32:
        .macro  REAL target:req
        movl    $\target, %eax
        call    call_real
        .endm
        /* Every vector of the interrupt vector table leads to `handler`. */
        xorl    %edi, %edi
1:      movl    $handler, (, %edi, 4)
        incl    %edi
        cmpl    $256, %edi
        jb      1b

        REAL    state
        EQ      "in real-address mode CR0.PE is clear", %eax, $0
        movzwl  %bx, %ebx
        EQ      "SMSW reads it clear", %ebx, $0x10
        REAL    arithmetic
        EQ      "an address is segment * 16 + offset", %eax, $0x1234
        EQ      "an offset above FFFFH is beyond the limit: #GP, vector 13", %ebx, $GP

        REAL    software
        EQ      "INT n pushes FLAGS, CS, IP: 6 bytes", %ebx, $6
        movzwl  seen_ip, %eax
        EQ      "IP is behind INT n", %eax, $software_return
        movzwl  seen_cs, %eax
        EQ      "CS is pushed", %eax, $0
        movzwl  seen_flags, %eax
        andl    $(FLAG_IF|FLAG_CF), %eax
        EQ      "FLAGS are pushed as they were", %eax, $(FLAG_IF|FLAG_CF)
        movzwl  seen_inner, %eax
        andl    $(FLAG_IF|FLAG_TF), %eax
        EQ      "the handler starts with IF and TF clear", %eax, $0
        EQ      "IRET restores FLAGS", %ecx, $(FLAG_IF|FLAG_CF)

        REAL    divide
        EQ      "DIV by zero calls vector 0", seen_count, $1
        movzwl  seen_ip, %eax
        EQ      "IP is at the DIV", %eax, $divide_at
        EQ      "no error code is pushed", %ebx, $6
        REAL    invalid
        movzwl  seen_ip, %eax
        EQ      "UD2 calls vector 6 with IP at UD2", %eax, $invalid_at
        REAL    protected_only
        EQ      "LLDT, LTR, VERR, LAR and ARPL are #UD in real-address mode", seen_count, $5
        REAL    stack_wrap
        EQ      "PUSH with SP = 0 writes at FFFEH", %eax, $0x5a5a
        EQ      "and leaves SP there", %ebx, $0xfffe
        REAL    odd_stack
        EQ      "a word at offset FFFFH is beyond the limit: #GP, vector 13", %eax, $GP
        EQ      "through SS: #SS, vector 12", %ebx, $SS_
        REAL    far_call
        EQ      "CALL far pushes CS and IP, RETF takes them", %eax, $0x77
        EQ      "CALL far loads CS", %ebx, $0x100
        REAL    short_idt
        EQ      "a vector beyond the limit of IDTR raises #GP", %eax, $GP
        REAL    wide_operands
        EQ      "32-bit operands in real-address mode", %eax, $0x12345678
        EQ      "32-bit addresses in real-address mode", %ebx, $0x87654321
        REAL    unreal
        EQ      "a limit loaded in protected mode stays: unreal mode", %eax, $0xcafe
        REAL    strings16
        EQ      "REP MOVSB with 16-bit addresses wraps SI at 64 KiB", %eax, $0x00bb00aa
        ret

        .section .low, "ax"
        .code16
/* Every interrupt: notes its frame and, for faults, goes on at `resume`. Clears nothing but AX. */
handler:
        pushfw
        popw    %cs:seen_inner
        incl    %cs:seen_count
        movw    %sp, %cs:seen_sp
        pushw   %bp
        movw    %sp, %bp
        movw    2(%bp), %ax
        movw    %ax, %cs:seen_ip
        movw    4(%bp), %ax
        movw    %ax, %cs:seen_cs
        movw    6(%bp), %ax
        movw    %ax, %cs:seen_flags
        cmpw    $0, %cs:resume
        je      1f
        movw    %cs:resume, %ax
        movw    %ax, 2(%bp)
        movw    $0, 4(%bp)
1:      popw    %bp
        iretw

/* The vector is not in the frame: handlers of their own for those that have to be told apart. */
handler12:
        movw    $SS_, %cs:seen_vector
        jmp     handler
handler13:
        movw    $GP, %cs:seen_vector
        jmp     handler

state:  movl    %cr0, %eax
        andl    $CR0_PE, %eax
        smsww   %bx
        andw    $0x11, %bx
        ret

        /* AX = the word at 0100:0010 written through 0000:1010. */
arithmetic:
        movw    $0x1234, 0x1010
        movw    $0x100, %ax
        movw    %ax, %es
        movzwl  %es:0x10, %edx
        call    own_vectors
        movw    $1f, resume
        movl    $0x10000, %esi
        addr32 movb (%esi), %al
1:      movzwl  seen_vector, %ebx
        movw    $0, resume
        movl    %edx, %eax
        ret

own_vectors:
        movw    $handler12, 12 * 4
        movw    $handler13, 13 * 4
        movw    $0, seen_vector
        movl    $0, seen_count
        ret

software:
        movw    $0, resume
        movl    $0, seen_count
        pushw   $(FLAG_IF|FLAG_CF|2)
        popfw
        movw    %sp, %dx
        int     $0x60
software_return:
        pushfw
        popw    %cx
        cli
        andl    $(FLAG_IF|FLAG_CF), %ecx
        movzwl  %dx, %ebx
        subw    seen_sp, %bx
        ret

divide: movw    $1f, resume
        movl    $0, seen_count
        movw    %sp, %dx
        xorw    %cx, %cx
divide_at:
        divw    %cx
1:      movw    $0, resume
        movzwl  %sp, %ebx
        subw    seen_sp, %bx
        ret

invalid:
        movw    $1f, resume
invalid_at:
        ud2
1:      movw    $0, resume
        ret

protected_only:
        movl    $0, seen_count
        .irp    instruction, "lldt %ax", "ltr %ax", "verr %ax", "lar %ax, %bx", ".byte 0x63, 0xc0"
        movw    $1f, resume
        \instruction
1:
        .endr
        movw    $0, resume
        ret

stack_wrap:
        movw    %sp, %dx
        movw    $0x1000, %ax
        movw    %ax, %ss
        xorw    %sp, %sp
        pushw   $0x5a5a
        movzwl  %sp, %ebx
        movzwl  %ss:0xfffe, %eax
        xorw    %cx, %cx
        movw    %cx, %ss
        movw    %dx, %sp
        ret

odd_stack:
        call    own_vectors
        movw    $1f, resume
        movw    0xffff, %ax
1:      movzwl  seen_vector, %ecx
        movw    $1f, resume
        movw    $0, seen_vector
        movw    $0xffff, %bp
        movw    (%bp), %ax
1:      movzwl  seen_vector, %ebx
        movw    $0, resume
        movl    %ecx, %eax
        ret

far_call:
        lcall   $0x100, $(far_function - 0x1000)
        movzwl  %ax, %eax
        ret

far_function:
        movl    %cs, %ebx
        movw    $0x77, %ax
        lretw

short_idt:
        call    own_vectors
        movw    $1f, resume
        lidtl   short_pointer
        int     $0x60
1:      movzwl  seen_vector, %eax
        movw    $0, resume
        lidtl   long_pointer
        ret

wide_operands:
        movl    $0x12345678, %eax
        movl    $0x87654321, 0x1800
        movl    $0x1000, %edx
        movl    $0x100, %ecx
        addr32 movl (%edx, %ecx, 8), %ebx
        ret

/* FS with the limit of a flat segment: protected mode and back, without another selector load. */
unreal: movl    $0x0000cafe, %edx
        movl    %cr0, %eax
        orl     $CR0_PE, %eax
        movl    %eax, %cr0
        movw    $KERNEL_DS, %bx
        movw    %bx, %fs
        andl    $~CR0_PE, %eax
        movl    %eax, %cr0
        movl    $0x300000, %esi
        addr32 movl %edx, %fs:(%esi)
        xorl    %eax, %eax
        addr32 movl %fs:(%esi), %eax
        ret

/* Two bytes from FFFFH and 0000H of segment 1000H. */
strings16:
        movw    $0x1000, %ax
        movw    %ax, %ds
        movb    $0xaa, 0xffff
        movb    $0xbb, 0
        movw    $0xffff, %si
        movw    $0x1900, %di
        movl    $0x10002, %ecx
        rep movsb
        xorw    %ax, %ax
        movw    %ax, %ds
        xorl    %eax, %eax
        movb    0x1900, %al
        movzbl  0x1901, %edx
        shll    $16, %edx
        orl     %edx, %eax
        ret

        .balign 4
seen_count: .long 0
seen_ip: .word  0
seen_cs: .word  0
seen_flags: .word 0
seen_inner: .word 0
seen_sp: .word  0
seen_vector: .word 0
resume: .word   0
        .balign 4
short_pointer:
        .word   0x60 * 4 + 2
        .long   0
long_pointer:
        .word   0x3ff
        .long   0
