/* Far transfers of IA-32e mode: compatibility mode, call gates, RETF (SDM vol. 2; vol. 3A 5.8). */
#include "lib/test64.h"

#define GATE_SELECTOR FREE_SELECTOR             /* 16 bytes */
#define CONFORMING (FREE_SELECTOR + 0x10)
#define DATA_DPL3_CODE (FREE_SELECTOR + 0x18)
#define CODE_LD (FREE_SELECTOR + 0x20)
#define ABSENT (FREE_SELECTOR + 0x28)
#define CODE64 (SEG_P|SEG_S|SEG_CODE|SEG_RW|SEG_L|SEG_G)

/* A 64-bit call gate: DPL, target. Clobbers RAX. */
        .macro  CALL_GATE dpl:req, target:req, selector=KERNEL_CS64, present=0x80
        movq    $\target, %rax
        movw    %ax, gdt+GATE_SELECTOR
        movw    $\selector, gdt+GATE_SELECTOR+2
        movw    $(((\dpl)<<5|0x0c|\present)<<8), gdt+GATE_SELECTOR+4
        shrq    $16, %rax
        movw    %ax, gdt+GATE_SELECTOR+6
        movq    $0, gdt+GATE_SELECTOR+8
        .endm

        .text
        .code64
        .globl  main64
main64: DESCRIPTOR CONFORMING, 0, 0xfffff, (CODE64|SEG_DC)
        DESCRIPTOR CODE_LD, 0, 0xfffff, (CODE64|SEG_D)
        DESCRIPTOR ABSENT, 0, 0xfffff, (CODE64&~SEG_P)
        call    compatibility
        call    far_jumps
        call    call_gates
        call    outer_returns
        ret

compatibility:
        TRY_BEGIN
        movq    %rsp, %r12
        pushq   $KERNEL_CS32
        pushq   $7720f
        lretq
        .code32
7720:   movl    $-1, %eax
        decl    %eax                            /* REX prefixes are INC and DEC here: 48H */
        movl    %esp, %ebx
        pushl   $0x12345678
        movl    %esp, %ecx
        popl    %edx
        ljmpl   $KERNEL_CS64, $7721f
        .code64
7721:
        TRY_END
        RUNS    "RETF to a code segment with L = 0 enters compatibility mode, JMP far leaves it"
        movl    $0xfffffffe, %esi
        EQ      "48H is DEC EAX in compatibility mode", %rax, %rsi
        subq    %rcx, %rbx
        EQ      "PUSH moves ESP by 4 in compatibility mode", %rbx, $4
        EQ      "and pushes 32 bits", %rdx, $0x12345678
        movabsq $0xaaaaaaaa55555555, %r8
        RING3_BEGIN
        pushq   $USER_CS32
        leaq    7720f(%rip), %rax
        pushq   %rax
        lretq
        .code32
7720:   movl    $1, %eax
        addl    $-1, %eax
        int     $LEAVE
        .code64
        RING3_END
        EQ      "R8 survives compatibility mode", %rax, $0
        movabsq $0xaaaaaaaa55555555, %rax
        EQ      "with all of its 64 bits", %r8, %rax
        EQ      "an interrupt from compatibility mode enters 64-bit mode and pushes its CS", event+EV_CS, $USER_CS32
        /* Segment limits and types hold in compatibility mode. */
        DESCRIPTOR DATA_DPL3_CODE, 0, 0xfff, (SEG_P|SEG_S|SEG_RW|SEG_D|SEG_DPL3)
        TRY_BEGIN
        pushq   $KERNEL_CS32
        pushq   $7720f
        lretq
        .code32
7720:   movl    $DATA_DPL3_CODE, %eax
        movl    %eax, %ds
        movl    $0xffe, %ebx
7701:   movl    (%ebx), %eax
        int     $0x30
        .code64
        TRY_END
        EQ      "a segment limit holds in compatibility mode", event+EV_VECTOR, $GP
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        ret

far_jumps:
        .macro  FAR_JUMP selector:req
        movl    $7720f, far_pointer
        movw    $\selector, far_pointer + 4
        TRY     ljmpl *far_pointer
7720:
        .endm
        FAR_JUMP 0
        FAULTS  "JMP far to a null selector raises #GP(0)", GP, 0
        FAR_JUMP KERNEL_DS
        FAULTS  "JMP far to a data segment raises #GP with the selector", GP, KERNEL_DS
        FAR_JUMP 0x7f8
        FAULTS  "JMP far to a selector beyond the GDT raises #GP with the selector", GP, 0x7f8
        FAR_JUMP CODE_LD
        FAULTS  "JMP far to a code segment with L and D set raises #GP with the selector", GP, CODE_LD
        FAR_JUMP ABSENT
        FAULTS  "JMP far to a code segment that is not present raises #NP with the selector", NP, ABSENT
        FAR_JUMP KERNEL_CS64+3
        FAULTS  "JMP far with RPL above CPL raises #GP with the selector", GP, KERNEL_CS64
        FAR_JUMP USER_CS64
        FAULTS  "JMP far to a non-conforming segment of another DPL raises #GP with the selector", GP, 0x30
        FAR_JUMP TSS_SELECTOR
        FAULTS  "JMP far to a TSS raises #GP in IA-32e mode", GP, TSS_SELECTOR
        FAR_JUMP CONFORMING+3
        movl    %cs, %eax
        EQ      "JMP far to a conforming segment keeps CPL whatever the RPL", %rax, $CONFORMING
        movl    $7721f, far_pointer
        movw    $KERNEL_CS64, far_pointer + 4
        ljmpl   *far_pointer
7721:   RING3_BEGIN
        leaq    7720f(%rip), %rax
        movq    %rax, -16(%rsp)
        movw    $CONFORMING, -8(%rsp)
        rex.w ljmp *-16(%rsp)
7720:   movl    %cs, %ebx
        RING3_END
        EQ      "a conforming segment of DPL 0 executes at CPL 3", %rbx, $CONFORMING+3
        /* m16:64. */
        movq    $7722f, far_pointer64
        movw    $KERNEL_CS64, far_pointer64 + 8
        TRY     rex.w ljmp *far_pointer64
        RUNS    "JMP far with REX.W takes m16:64"
        .subsection 1
7722:   jmp     7702b
        .previous
        ret

call_gates:
        CALL_GATE 3, gate_target
        movw    $GATE_SELECTOR, far_pointer + 4
        movl    $0x12345678, far_pointer        /* a gate ignores the offset */
        TRY_BEGIN
        movq    %rsp, %rbx
        lcall   *far_pointer
7720:
        TRY_END
        EQ      "CALL through a 64-bit call gate at the same CPL pushes CS:RIP on the same stack", found_rsp, %rbx
        EQ      "16 bytes", found_size, $16
        EQ      "the return address", found_rip, $7720b
        RING3_BEGIN
        movw    $GATE_SELECTOR+3, -12(%rsp)
        movl    $0, -16(%rsp)
        leaq    -16(%rsp), %rax
        AT
        lcall   *(%rax)
7720:
        RING3_END
        RUNS3   "CALL through a call gate of DPL 3 at CPL 3, and RETF back"
        EQ      "it enters CPL 0", found_cs, $KERNEL_CS64
        EQ      "on the stack of RSP0, without alignment", found_new_rsp, $ring0_stack_top-32
        EQ      "it pushes SS and RSP", found_rsp, $USER_ALIAS+user_stack_top
        EQ      "it pushes the SS selector", found_old_ss, $USER_DS
        EQ      "it pushes the CS selector", found_old_cs, $USER_CS64
        EQ      "it pushes RIP", found_rip, $USER_ALIAS+7720b
        EQ      "SS becomes a null selector", found_ss, $0
        .macro  GATE_CALL3
        RING3_BEGIN
        movw    $GATE_SELECTOR+3, -12(%rsp)
        movl    $0, -16(%rsp)
        leaq    -16(%rsp), %rax
        AT
        lcall   *(%rax)
        RING3_END
        .endm
        CALL_GATE 0, gate_target
        GATE_CALL3
        FAULTS  "CALL at CPL 3 through a call gate of DPL 0 raises #GP with the gate's selector", GP, GATE_SELECTOR
        CALL_GATE 3, gate_target, KERNEL_CS64, 0
        GATE_CALL3
        FAULTS  "a call gate that is not present raises #NP with its selector", NP, GATE_SELECTOR
        CALL_GATE 3, gate_target, 0
        GATE_CALL3
        FAULTS  "a call gate with a null target raises #GP(0)", GP, 0
        CALL_GATE 3, gate_target, KERNEL_CS32
        GATE_CALL3
        FAULTS  "a 64-bit call gate to a segment with L = 0 raises #GP with the target's selector", GP, KERNEL_CS32
        CALL_GATE 3, gate_target, KERNEL_DS
        GATE_CALL3
        FAULTS  "a call gate to a data segment raises #GP with the target's selector", GP, KERNEL_DS
        CALL_GATE 3, gate_target
        movl    $0x8000, gdt+GATE_SELECTOR+8
        GATE_CALL3
        FAULTS  "a call gate to a non-canonical address raises #GP(0)", GP, 0
        CALL_GATE 3, gate_target
        movl    $0x0c00, gdt+GATE_SELECTOR+12
        GATE_CALL3
        FAULTS  "a call gate whose upper half has a type raises #GP with its selector", GP, GATE_SELECTOR
        CALL_GATE 3, gate_target
        movabsq $0x900000000000, %rax
        movq    %rax, tss64 + 4
        GATE DF, 1
        GATE GP, 1
        GATE SS_, 1
        GATE_CALL3
        FAULTS  "a non-canonical RSP0 raises #SS with the new SS, null", SS_, 0
        movq    $ring0_stack_top, tss64 + 4
        GATE GP
        GATE SS_
        ret

/* Through the gate: notes the frame and returns by RETF. */
gate_target:
        movq    %rsp, found_new_rsp
        movl    %cs, %eax
        movq    %rax, found_cs
        movl    %ss, %eax
        movq    %rax, found_ss
        movq    (%rsp), %rax
        movq    %rax, found_rip
        movq    8(%rsp), %rax
        movq    %rax, found_old_cs
        testb   $3, %al
        jnz     1f
        leaq    16(%rsp), %rax
        movq    %rax, found_rsp
        movq    $16, found_size
        lretq
1:      movq    16(%rsp), %rax
        movq    %rax, found_rsp
        movq    24(%rsp), %rax
        movq    %rax, found_old_ss
        lretq

outer_returns:
        TRY_BEGIN
        movq    $USER_ALIAS + 7701f, try_start
        pushq   $USER_DS
        pushq   $USER_ALIAS + user_stack_top - 0x40
        pushq   $0x1111
        pushq   $0x2222
        pushq   $USER_CS64
        pushq   $USER_ALIAS + 7720f
        lretq   $16
7720:   int     $LEAVE
        TRY_END
        EQ      "RETF n to CPL 3 reaches it", event+EV_CS, $USER_CS64
        EQ      "RETF n to CPL 3 releases n bytes of both stacks", event+EV_RSP, $USER_ALIAS+user_stack_top-0x30
        EQ      "and loads SS", event+EV_SS, $USER_DS
        .macro  BAD_RETF name:req, error:req, cs:req, ss=USER_DS, vector=GP
        TRY_BEGIN
        pushq   $\ss
        pushq   $USER_ALIAS+user_stack_top
        pushq   $\cs
        pushq   $7720f
        AT
        lretq
7720:
        TRY_END
        FAULTS  "\name", \vector, \error
        .endm
        BAD_RETF "RETF with a null CS raises #GP(0)", 0, 0
        BAD_RETF "RETF to a data segment raises #GP with the selector", KERNEL_DS, KERNEL_DS
        BAD_RETF "RETF to CPL 3 with a code segment of DPL 0 raises #GP with the selector", KERNEL_CS64, KERNEL_CS64+3
        BAD_RETF "RETF to CPL 3 with an SS of RPL 0 raises #GP with the selector", 0x28, USER_CS64, 0x28
        BAD_RETF "RETF to 64-bit code at CPL 3 with a null SS raises #GP(0)", 0, USER_CS64, 3
        BAD_RETF "RETF to a code segment that is not present raises #NP with the selector", ABSENT, ABSENT, USER_DS, NP
        RING3_BEGIN
        pushq   $KERNEL_CS64
        leaq    7720f(%rip), %rax
        pushq   %rax
        AT
        lretq
7720:
        RING3_END
        FAULTS  "RETF to an inner level raises #GP with the selector", GP, KERNEL_CS64
        ret

        .bss
        .balign 8
far_pointer: .skip 8
far_pointer64: .skip 16
found_rsp: .skip 8
found_new_rsp: .skip 8
found_size: .skip 8
found_rip: .skip 8
found_cs: .skip 8
found_ss: .skip 8
found_old_cs: .skip 8
found_old_ss: .skip 8
