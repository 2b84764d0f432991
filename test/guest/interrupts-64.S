/* Delivery of interrupts and exceptions in 64-bit mode and IRETQ (SDM vol. 3A 6.12, 6.14). */
#include "lib/test64.h"
#include "lib/paging.h"

        .text
        .code64
        .globl  main64
main64:
        call    frames
        call    gates
        call    stack_table
        call    returns
        call    nmi
        call    shadows
        call    double_fault
        call    stack_page_fault
        ret

frames: /* 6.14.2: SS:RSP is always pushed, RSP is aligned first; no stack switch at the same CPL. */
        TRY_BEGIN
        movq    $free_pages + 0x808, %rsp
        int     $0x30
        TRY_END
        EQ      "without a change of CPL the frame lies on the interrupted stack, aligned to 16", event+EV_FRAME, $free_pages+0x800-40
        EQ      "the frame holds the RSP of before the alignment", event+EV_RSP, $free_pages+0x808
        EQ      "the frame holds SS without a change of CPL too", event+EV_SS, $KERNEL_DS
        EQ      "the frame holds CS", event+EV_CS, $KERNEL_CS64
        TRY_BEGIN
        movq    $free_pages + 0x80f, %rsp
        int     $0x30
        TRY_END
        EQ      "an RSP that is no multiple of 8 is aligned too", event+EV_FRAME, $free_pages+0x800-40
        EQ      "and saved as it was", event+EV_RSP, $free_pages+0x80f
        TRY_BEGIN
        movq    $free_pages + 0x808, %rsp
        ud2
        TRY_END
        EQ      "an error code comes below the aligned frame: none for #UD", event+EV_FRAME, $free_pages+0x800-40
        TRY_BEGIN
        movq    $free_pages + 0x808, %rsp
        movabsq $1 << 63, %rax
        movl    (%rax), %eax
        TRY_END
        EQ      "an error code comes below the aligned frame: one for #GP", event+EV_FRAME, $free_pages+0x800-48

        RING3_BEGIN FLAG_CF|FLAG_IF|2
        RING3_END
        EQ      "a change to CPL 0 takes RSP0 from the TSS", event+EV_FRAME, $ring0_stack_top-40
        EQ      "the frame holds the user's RSP", event+EV_RSP, $USER_ALIAS+user_stack_top
        EQ      "the frame holds the user's SS", event+EV_SS, $USER_DS
        EQ      "the frame holds the user's CS", event+EV_CS, $USER_CS64
        EQ      "the frame holds the user's RFLAGS", event+EV_RFLAGS, $(FLAG_CF|FLAG_IF|2)
        movq    $ring0_stack_top - 8, tss64 + 4
        TRY3    ud2
        EQ      "RSP0 is aligned too", event+EV_FRAME, $ring0_stack_top-16-40
        movq    $ring0_stack_top, tss64 + 4
        /* SS in the handler after a change of CPL: null with RPL = new CPL. */
        movq    $note_segments, hook
        RING3_BEGIN
        int     $LEAVE
        ud2
        RING3_END
        EQ      "after a change of CPL the handler's SS is null", noted_ss, $0
        EQ      "and a handler with a null SS returns to CPL 3", event+EV_VECTOR, $UD
        TRY_BEGIN
        movq    $note_flags, hook
        pushq   $(FLAG_IF|FLAG_DF|FLAG_CF|FLAG_NT|2)
        popfq
        int     $0x30
        cld
        TRY_END
        movq    $0, hook
        movq    noted_flags, %rax
        andl    $(FLAG_IF|FLAG_NT|FLAG_TF|FLAG_RF), %eax
        EQ      "an interrupt gate clears IF, NT, TF and RF", %rax, $0
        pushq   $2
        popfq
        ret

note_segments:
        movl    %ss, %eax
        movq    %rax, noted_ss
        movq    $0, hook
        ret

note_flags:
        pushfq
        popq    noted_flags
        ret

gates:  GATE    0x31, 0, 0, 15
        movq    $note_flags, hook
        pushq   $(FLAG_IF|2)
        popfq
        int     $0x31
        pushq   $2
        popfq
        movq    $0, hook
        movq    noted_flags, %rax
        andl    $(FLAG_IF|FLAG_TF), %eax
        EQ      "a trap gate leaves IF as it was", %rax, $FLAG_IF
        GATE    0x31
        ret

stack_table:
        GATE    0x30, 1
        TRY     int $0x30
        EQ      "a gate with an IST index switches stacks without a change of CPL", event+EV_FRAME, $ist1_stack_top-40
        TRY3    ud2
        GATE    LEAVE, 2, 3
        RING3_BEGIN
        RING3_END
        EQ      "IST takes precedence over RSP0", event+EV_FRAME, $ist2_stack_top-40
        GATE    LEAVE, 0, 3
        GATE    0x30
        ret

returns:
        /* IRETQ pops SS:RSP without a change of CPL. */
        movq    %rsp, %rbx
        pushq   $KERNEL_DS
        pushq   $free_pages + 0x400
        pushq   $(FLAG_CF|FLAG_ZF|2)
        pushq   $KERNEL_CS64
        pushq   $1f
        iretq
1:      pushfq
        popq    %rcx
        movq    %rsp, %rdx
        movq    %rbx, %rsp
        EQ      "IRETQ pops RSP without a change of CPL", %rdx, $free_pages+0x400
        EQ      "IRETQ pops RFLAGS", %rcx, $(FLAG_CF|FLAG_ZF|2)
        /* SS null at CPL 0. */
        pushq   $0
        pushq   %rsp
        addq    $8, (%rsp)
        pushq   $2
        pushq   $KERNEL_CS64
        pushq   $1f
        TRY_BEGIN
        iretq
1:      movl    %ss, %eax
        TRY_END
        RUNS    "IRETQ to CPL 0 accepts a null SS"
        EQ      "SS is null after it", %rax, $0
        movl    $KERNEL_DS, %eax
        movl    %eax, %ss

        /* Faults of IRETQ: nothing has changed when they come. */
        .macro  BAD_IRET name:req, error:req, ss=KERNEL_DS, flags=2, cs=KERNEL_CS64, rip=1f, vector=GP
        TRY_BEGIN
        pushq   $\ss
        pushq   $free_pages+0x400
        pushq   $\flags
        pushq   $\cs
        pushq   $\rip
        AT
        iretq
1:
        TRY_END
        FAULTS  "\name", \vector, \error
        .endm
        BAD_IRET "IRETQ with a null CS raises #GP(0)", 0, KERNEL_DS, 2, 0
        BAD_IRET "IRETQ to a data segment raises #GP with the selector", KERNEL_DS, KERNEL_DS, 2, KERNEL_DS
        BAD_IRET "IRETQ to a selector beyond the GDT raises #GP with the selector", 0x7f8, KERNEL_DS, 2, 0x7f8
        BAD_IRET "IRETQ to CPL 3 with a null SS raises #GP(0)", 0, 3, 2, USER_CS32
        BAD_IRET "IRETQ with RPL 3 and a code segment of DPL 0 raises #GP with the selector", KERNEL_CS64, USER_DS, 2, KERNEL_CS64+3
        BAD_IRET "IRETQ to CPL 3 with an SS of DPL 0 raises #GP with the selector", KERNEL_DS, KERNEL_DS, 2, USER_CS64
        BAD_IRET "IRETQ to CPL 3 with a code segment in SS raises #GP with the selector", 0x30, USER_CS64, 2, USER_CS64
        TRY_BEGIN
        pushq   $KERNEL_DS
        pushq   $free_pages+0x400
        pushq   $2
        pushq   $KERNEL_CS64
        movabsq $1 << 47, %rax
        pushq   %rax
        AT
        iretq
        TRY_END
        FAULTS  "IRETQ to a non-canonical RIP raises #GP(0)", GP, 0
        TRY_BEGIN
        pushq   $(FLAG_NT|2)
        popfq
        AT
        iretq
        TRY_END
        FAULTS  "IRETQ with NT set raises #GP(0) in IA-32e mode", GP, 0
        pushq   $2
        popfq
        RING3_BEGIN
        pushq   $USER_DS
        pushq   $0x1000
        pushq   $2
        pushq   $KERNEL_CS64
        leaq    1f(%rip), %rax
        pushq   %rax
        AT
        iretq
1:
        RING3_END
        FAULTS  "IRETQ at CPL 3 to a selector of RPL 0 raises #GP with the selector", GP, KERNEL_CS64
        /* IF and IOPL at CPL 3. */
        RING3_BEGIN
        movq    %rsp, %rdx
        pushq   $USER_DS
        pushq   %rdx
        pushq   $(FLAG_IOPL|FLAG_IF|FLAG_CF|2)
        pushq   $USER_CS64
        leaq    1f(%rip), %rax
        pushq   %rax
        iretq
1:
        RING3_END
        EQ      "IRETQ at CPL 3 changes neither IOPL nor IF", event+EV_RFLAGS, $FLAG_CF+2
        RING3_BEGIN FLAG_IOPL|2
        pushq   $(FLAG_IF|FLAG_CF|2)
        popfq
        RING3_END
        EQ      "POPF at CPL 3 with IOPL 3 changes IF but not IOPL", event+EV_RFLAGS, $(FLAG_IOPL|FLAG_IF|FLAG_CF|2)
        /* Segment registers that the outer level may not use become null. */
        movl    $KERNEL_DS, %eax
        movl    %eax, %es
        movl    %eax, %fs
        movl    $USER_DS, %eax
        movl    %eax, %gs
        RING3_BEGIN
        movl    %es, %ecx
        movl    %fs, %edx
        movl    %gs, %ebx
        RING3_END
        EQ      "IRETQ to CPL 3 makes ES null if its DPL is less than 3", %rcx, $0
        EQ      "IRETQ to CPL 3 makes FS null if its DPL is less than 3", %rdx, $0
        EQ      "IRETQ to CPL 3 leaves GS if its DPL is 3", %rbx, $USER_DS
        xorl    %eax, %eax
        movl    %eax, %gs
        ret

/* 6.7.1, with an NMI that the local APIC sends to this processor: ICR delivery mode 100b. */
nmi:    movq    $0xfee00000, %rsi
        movq    $nmi_hook, hook
        movq    $0, nmi_depth
        movq    $0, nmi_count
        call    send_nmi
        movl    $1000, %ecx
1:      pause
        loop    1b
        movq    $0, hook
        EQ      "an NMI comes whatever IF says; a second one waits for IRET", nmi_count, $2
        EQ      "an NMI handler is not interrupted by an NMI", nmi_nested, $0
        ret

send_nmi:
        movl    0x20(%rsi), %eax                /* its own ID is the destination */
        movl    %eax, 0x310(%rsi)
        movl    $0x4400, 0x300(%rsi)
        ret

/* The first NMI sends another one and waits for it in vain. */
nmi_hook:
        cmpq    $NMI, event + EV_VECTOR
        jne     3f
        incq    nmi_depth
        cmpq    $1, nmi_depth
        je      1f
        movq    $1, nmi_nested
1:      incq    nmi_count
        cmpq    $1, nmi_count
        jne     2f
        movq    $0xfee00000, %rsi
        call    send_nmi
        movl    $1000, %ecx
4:      pause
        loop    4b
2:      decq    nmi_depth
3:      ret

shadows: /* STI holds interrupts off for one instruction (6.8.3). A self-IPI of vector 50H is pending. */
        movq    $0xfee00000, %rsi
        movl    $0x1ff, 0xf0(%rsi)              /* software-enable the APIC */
        movl    $0, 0x80(%rsi)
        TRY_BEGIN
        movl    $0x00044050, 0x300(%rsi)
        xorl    %eax, %eax
        AT
        sti
        incl    %eax
        incl    %eax
        incl    %eax
        nop
        TRY_END
        cli
        EQ      "after STI one more instruction executes before an interrupt", %rax, $1
        FAULTS  "the interrupt comes behind that instruction", 0x50, 0, 3
        movl    $0, 0xb0(%rsi)                  /* EOI */
        TRY_BEGIN
        movl    $0x00044050, 0x300(%rsi)
        sti
        cli
        nop
        nop
        TRY_END
        RUNS    "STI; CLI lets no interrupt in"
        TRY_BEGIN
        AT
        sti
        nop
        nop
        TRY_END
        cli
        FAULTS  "the interrupt was still pending", 0x50, 0, 2
        movl    $0, 0xb0(%rsi)
        ret

double_fault: /* Table 6-5. #DF runs on IST 1. */
        GATE    DF, 1
        andb    $0x7f, idt64 + GP * 16 + 5      /* #GP's gate is not present: #NP while delivering #GP */
        movabsq $1 << 63, %rax
        TRY     movl (%rax), %eax
        FAULTS  "#NP while delivering #GP is #DF with error code 0", DF, 0
        EQ      "#DF runs on its IST stack", event+EV_FRAME, $ist1_stack_top-48
        GATE    GP
        andb    $0x7f, idt64 + UD * 16 + 5
        TRY     ud2
        FAULTS  "#NP while delivering #UD, a benign exception, is #NP", NP, UD*8+3
        GATE    UD
        andb    $0x7f, idt64 + PF * 16 + 5
        movl    $PAGE(1), %ebp
        TRY     movl (%rbp), %eax
        FAULTS  "#NP while delivering #PF is #DF", DF, 0
        GATE    PF
        andb    $0x7f, idt64 + DE * 16 + 5
        xorl    %ecx, %ecx
        TRY     divl %ecx
        FAULTS  "#NP while delivering #DE, a contributory exception, is #DF", DF, 0
        GATE    DE
        ret

/* A stack on a page that is not present, at CPL 0: #PF cannot push its frame. */
stack_page_fault:
        movl    $PAGE(2), %ebp
        MAP     1, 0
        TRY_BEGIN
        movq    %rbp, %rsp
        AT
        pushq   $0x1234
        TRY_END
        FAULTS  "#PF on a stack whose frame cannot be pushed becomes #DF", DF, 0
        leaq    -8(%rbp), %rax
        movq    event + EV_CR2, %rcx
        andq    $-4096, %rax
        andq    $-4096, %rcx
        EQ      "the #DF keeps CR2 on the stack's page", %rcx, %rax
        EQ      "the #DF holds the RSP of before the instruction", event+EV_RSP, %rbp
        /* The handler maps the page and returns: the PUSH is executed again. */
        movq    $map_stack, hook
        movq    %rsp, %r12
        MAP     1, 0
        movq    $0, event + EV_COUNT
        movq    %rbp, %rsp
        movl    $0x5678, %eax
        pushq   %rax
        popq    %rcx
        movq    %rsp, %rdx
        movq    %r12, %rsp
        movq    $0, hook
        EQ      "IRETQ from #DF restarts the PUSH", %rcx, $0x5678
        EQ      "which moves RSP once", %rdx, %rbp
        EQ      "one #DF was enough", event+EV_COUNT, $1
        movl    free_pages + 2 * 4096 - 8, %eax
        EQ      "the pushed value lies in memory", %rax, $0x5678
        ret

map_stack:
        MAP     1, PTE_P+PTE_W
        ret

        .bss
        .balign 8
noted_ss: .skip 8
noted_flags: .skip 8
nmi_depth: .skip 8
nmi_count: .skip 8
nmi_nested: .skip 8
