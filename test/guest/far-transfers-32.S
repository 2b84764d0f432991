/* Call gates with privilege change and parameters, RETF, conforming code, SYSENTER in 32-bit protected mode. */
#include "lib/test32.h"

#define GATE_SELECTOR FREE_SELECTOR
#define CONFORMING (FREE_SELECTOR + 0x08)
#define ABSENT (FREE_SELECTOR + 0x10)
#define ABSENT_STACK (FREE_SELECTOR + 0x18)
#define CODE1 (FREE_SELECTOR + 0x20)
#define DATA1 (FREE_SELECTOR + 0x28)
#define CODE (SEG_P|SEG_S|SEG_CODE|SEG_RW|SEG_D|SEG_G)

        .macro  CALL_GATE target:req, dpl=3, parameters=0, selector=KERNEL_CS32, type=0x0c, present=0x80
        movl    $\target, %eax
        movw    %ax, gdt+GATE_SELECTOR
        movw    $\selector, gdt+GATE_SELECTOR+2
        movw    $((((\dpl)<<5|\type|\present)<<8)|\parameters), gdt+GATE_SELECTOR+4
        shrl    $16, %eax
        movw    %ax, gdt+GATE_SELECTOR+6
        .endm

        .macro  GATE_CALL3
        RING3_BEGIN
        pushl   $0x1111
        pushl   $0x2222
        AT
        lcall   $GATE_SELECTOR+3, $0x12345678
        RING3_END
        .endm

        .text
        .code32
        .globl  main32
main32: DESCRIPTOR CONFORMING, 0, 0xfffff, (CODE|SEG_DC)
        DESCRIPTOR ABSENT, 0, 0xfffff, (CODE&~SEG_P)
        DESCRIPTOR ABSENT_STACK, 0, 0xfffff, (SEG_S|SEG_RW|SEG_D|SEG_G)
        DESCRIPTOR CODE1, 0, 0xfffff, (CODE|SEG_DPL1)
        DESCRIPTOR DATA1, 0, 0xfffff, (SEG_P|SEG_S|SEG_RW|SEG_D|SEG_G|SEG_DPL1)
        call    gates
        call    outer_returns
        call    code_segments
        call    fast_calls
        ret

gates:  CALL_GATE gate_target, 3, 2
        GATE_CALL3
        RUNS3   "CALL through a call gate at CPL 3, and RETF back"
        EQ      "it enters CPL 0", found_cs, $KERNEL_CS32
        EQ      "on SS0", found_ss, $KERNEL_DS
        EQ      "it pushes SS, ESP, two parameters, CS and EIP on SS0:ESP0", found_esp, $ring0_stack_top-24
        EQ      "the first parameter from the top of the old stack", found_parameter, $0x2222
        EQ      "the second one above it", found_parameter+4, $0x1111
        EQ      "the old ESP", found_parameter+8, $user_stack_top-8
        movzwl  found_parameter + 12, %eax
        EQ      "the old SS", %eax, $USER_DS
        EQ      "RETF n releases the parameters of both stacks", event+EV_RSP, $user_stack_top
        CALL_GATE gate_target16, 3, 2, KERNEL_CS32, 0x04
        GATE_CALL3
        EQ      "a 16-bit call gate pushes words: SS, SP, two parameters, CS and IP", found_esp, $ring0_stack_top-12
        CALL_GATE gate_target, 0
        GATE_CALL3
        FAULTS  "a call gate of DPL 0 at CPL 3 raises #GP with its selector", GP, GATE_SELECTOR
        CALL_GATE gate_target, 3, 0, KERNEL_CS32, 0x0c, 0
        GATE_CALL3
        FAULTS  "a call gate that is not present raises #NP with its selector", NP, GATE_SELECTOR
        CALL_GATE gate_target, 3, 0, 0
        GATE_CALL3
        FAULTS  "a call gate with a null target raises #GP(0)", GP, 0
        CALL_GATE gate_target, 3, 0, KERNEL_DS
        GATE_CALL3
        FAULTS  "a call gate to a data segment raises #GP with the target's selector", GP, KERNEL_DS
        CALL_GATE gate_target, 3, 0, ABSENT
        GATE_CALL3
        FAULTS  "a call gate to a segment that is not present raises #NP with the target's selector", NP, ABSENT
        /* Bad SS1: the target has DPL 1, so that exceptions still find SS0. */
        .macro  BAD_STACK name:req, selector:req, vector:req, error:req
        CALL_GATE gate_target, 3, 0, CODE1
        movl    $free_pages+0x800, tss32+12
        movl    $\selector, tss32+16
        GATE_CALL3
        FAULTS  "\name", \vector, \error
        .endm
        BAD_STACK "a null SS1 raises #TS(0)", 0, TS, 0
        BAD_STACK "an SS1 of RPL 0 raises #TS with its selector", DATA1, TS, DATA1
        BAD_STACK "an SS1 of DPL 0 raises #TS with its selector", KERNEL_DS+1, TS, KERNEL_DS
        BAD_STACK "an SS1 beyond the GDT raises #TS with its selector", 0x7f9, TS, 0x7f8
        BAD_STACK "an SS1 with a code segment raises #TS with its selector", CODE1+1, TS, CODE1
        DESCRIPTOR ABSENT_STACK, 0, 0xfffff, (SEG_S|SEG_RW|SEG_D|SEG_G|SEG_DPL1)
        BAD_STACK "an SS1 that is not present raises #SS with its selector", ABSENT_STACK+1, SS_, ABSENT_STACK
        CALL_GATE gate_target1, 3, 0, CODE1
        movl    $DATA1 + 1, tss32 + 16
        GATE_CALL3
        RUNS3   "CALL through a call gate from CPL 3 to CPL 1, and RETF back"
        EQ      "CS has RPL 1", found_cs, $CODE1+1
        EQ      "the stack is SS1:ESP1", found_esp, $free_pages+0x800-16
        /* A jump through a gate. */
        CALL_GATE 7720f, 3
        TRY     ljmpl $GATE_SELECTOR, $0
7720:   RUNS    "JMP through a call gate at the same CPL"
        CALL_GATE gate_target, 3
        RING3_BEGIN
        AT
        ljmpl   $GATE_SELECTOR+3, $0
        RING3_END
        FAULTS  "JMP through a call gate to an inner level raises #GP with the target's selector", GP, KERNEL_CS32
        ret

/* Reached through gates: notes what was pushed, in 32-bit and in 16-bit slots. */
gate_target:
        pushl   %eax
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        popl    %eax
        movl    %esp, found_esp
        movw    %cs, found_cs
        movw    %ss, found_ss
        movl    8(%esp), %eax
        movl    %eax, found_parameter
        movl    12(%esp), %eax
        movl    %eax, found_parameter + 4
        movl    16(%esp), %eax
        movl    %eax, found_parameter + 8
        movl    20(%esp), %eax
        movl    %eax, found_parameter + 12
        lretl   $8

/* Its offset has 16 bits. */
        .section .low, "ax"
        .code32
gate_target16:
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %esp, found_esp
        ud2
        .text

gate_target1:
        movl    %esp, found_esp
        movw    %cs, found_cs
        lretl

outer_returns:
        TRY_BEGIN
        movl    $7701f, try_start
        SEGMENTS KERNEL_DS
        pushl   $USER_DS
        pushl   $user_stack_top - 0x40
        pushl   $0x3333
        pushl   $USER_CS32
        pushl   $7720f
        lretl   $4
7720:   movl    %ds, %ebx
        int     $LEAVE
        TRY_END
        EQ      "RETF n to CPL 3 releases n bytes of both stacks", event+EV_RSP, $user_stack_top-0x3c
        EQ      "RETF to CPL 3 makes DS null if its DPL is less than 3", %ebx, $0
        .macro  BAD_RETF name:req, vector:req, error:req, cs:req, ss=USER_DS
        TRY_BEGIN
        pushl   $\ss
        pushl   $user_stack_top
        pushl   $\cs
        pushl   $7720f
        AT
        lretl
7720:
        TRY_END
        FAULTS  "\name", \vector, \error
        .endm
        BAD_RETF "RETF with a null CS raises #GP(0)", GP, 0, 0
        BAD_RETF "RETF to a data segment raises #GP with the selector", GP, KERNEL_DS, KERNEL_DS
        BAD_RETF "RETF with RPL 3 to code of DPL 0 raises #GP with the selector", GP, KERNEL_CS32, KERNEL_CS32+3
        BAD_RETF "RETF to CPL 3 with a null SS raises #GP(0)", GP, 0, USER_CS32, 0
        BAD_RETF "RETF to CPL 3 with an SS of DPL 0 raises #GP with the selector", GP, KERNEL_DS, USER_CS32, KERNEL_DS+3
        BAD_RETF "RETF to code that is not present raises #NP with the selector", NP, ABSENT, ABSENT
        ret

code_segments:
        TRY     ljmpl $CONFORMING+3, $7720f
7720:   RUNS    "JMP far to conforming code of the same level"
        movl    %cs, %eax
        EQ      "RPL is CPL", %eax, $CONFORMING
        ljmpl   $KERNEL_CS32, $7721f
7721:   RING3_BEGIN
        ljmpl   $CONFORMING, $7720f
7720:   movl    %cs, %ebx
        RING3_END
        EQ      "conforming code of DPL 0 executes at CPL 3", %ebx, $CONFORMING+3
        RING3_BEGIN
        AT
        ljmpl   $KERNEL_CS32, $0
        RING3_END
        FAULTS  "JMP far from CPL 3 to non-conforming code of DPL 0 raises #GP with the selector", GP, KERNEL_CS32
        TRY     ljmpl $USER_CS32, $0
        FAULTS  "JMP far from CPL 0 to code of DPL 3 raises #GP with the selector", GP, 0x20
        TRY     ljmpl $0, $0
        FAULTS  "JMP far to a null selector raises #GP(0)", GP, 0
        TRY     ljmpl $ABSENT, $0
        FAULTS  "JMP far to code that is not present raises #NP with the selector", NP, ABSENT
        ret

fast_calls:
        WRITE_MSR IA32_SYSENTER_CS, $0
        TRY     sysenter
        FAULTS  "SYSENTER with a null IA32_SYSENTER_CS raises #GP(0)", GP, 0
        WRITE_MSR IA32_SYSENTER_CS, $KERNEL_CS32
        WRITE_MSR IA32_SYSENTER_ESP, $(free_pages+0x400)
        WRITE_MSR IA32_SYSENTER_EIP, $7720f
        RING3_BEGIN FLAG_IF|2
        sysenter
7720:   movl    %esp, %ebx
        movl    %cs, %ecx
        movl    %ss, %edx
        pushfl
        popl    %esi
        movl    $7721f, %edi
        int     $0x30
7721:
        RING3_END
        EQ      "SYSENTER loads ESP from IA32_SYSENTER_ESP", %ebx, $free_pages+0x400
        EQ      "SYSENTER loads CS from IA32_SYSENTER_CS", %ecx, $KERNEL_CS32
        EQ      "SYSENTER loads SS with IA32_SYSENTER_CS + 8", %edx, $KERNEL_CS32+8
        EQ      "SYSENTER clears IF", %esi, $2
        movl    $user_stack_top, %ecx
        movl    $7720f, %edx
        TRY_BEGIN
        movl    %edx, try_start
        sysexit
7720:   int     $LEAVE
        TRY_END
        FAULTS  "SYSEXIT goes to EDX", LEAVE, 0, 2
        EQ      "SYSEXIT loads CS with IA32_SYSENTER_CS + 16, RPL 3", event+EV_CS, $KERNEL_CS32+16+3
        EQ      "SYSEXIT loads ESP from ECX", event+EV_RSP, $user_stack_top
        ret

        .bss
        .balign 8
found_cs: .skip 4
found_ss: .skip 4
found_esp: .skip 4
found_parameter: .skip 16
