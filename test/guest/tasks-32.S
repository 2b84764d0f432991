/* Task switches in 32-bit protected mode (SDM vol. 3A chapter 8): JMP, CALL, IRET, task gates, faults. */
#include "lib/test32.h"

#define TSS2 FREE_SELECTOR
#define TASK_GATE (FREE_SELECTOR + 0x08)
#define TSS16 (FREE_SELECTOR + 0x10)
#define ABSENT (FREE_SELECTOR + 0x18)
#define HANDLER (FREE_SELECTOR + 0x20)          /* three of them */

/* Fields of a 32-bit TSS (figure 8-2). */
#define T_LINK 0x00
#define T_CR3 0x1c
#define T_EIP 0x20
#define T_EFLAGS 0x24
#define T_EAX 0x28
#define T_ECX 0x2c
#define T_ESP 0x38
#define T_EDI 0x44
#define T_ES 0x48
#define T_CS 0x4c
#define T_SS 0x50
#define T_DS 0x54
#define T_LDT 0x60
#define T_TRAP 0x64

        .text
        .code32
        .globl  main32
main32: call    calls
        call    jumps
        call    gates
        call    faults
        call    exceptions
        call    small_tasks
        ret

/* Task 2 starts at `target` with flat segments, EAX = 2222H, on a stack of its own; its TSS is available. */
        .macro  NEW_TASK target:req, flags=2
        movl    $task2, %edi
        xorl    %eax, %eax
        movl    $0x68 / 4, %ecx
        rep stosl
        movl    $\target, task2 + T_EIP
        movl    $(\flags), task2 + T_EFLAGS
        movl    $0x2222, task2 + T_EAX
        movl    $free_pages + 0x1000, task2 + T_ESP
        movl    $ring0_stack_top, task2 + 4
        movl    $KERNEL_DS, task2 + 8
        movl    $KERNEL_CS32, task2 + T_CS
        .irp    offset, 0x48, 0x50, 0x54, 0x58, 0x5c
        movl    $KERNEL_DS, task2 + \offset
        .endr
        movw    $0x68, task2 + 0x66
        DESCRIPTOR TSS2, 0, 0x67, (SEG_P|9)
        DESCRIPTOR_BASE TSS2, task2
        .endm

/* The first task is the current one again, whatever the tests did: TR, NT, busy bits. */
        .macro  FIRST_TASK
        pushl   $2
        popfl
        movb    $0x89, gdt + TSS_SELECTOR + 5
        movl    $TSS_SELECTOR, %eax
        ltr     %ax
        .endm

calls:  NEW_TASK 7720f
        movl    $0x1111, %eax
        movl    $0x5555, %edi
        lcall   $TSS2, $0
        jmp     7721f
        /* In task 2. */
7720:   movl    %eax, found_eax
        movl    %esp, found_esp
        pushfl
        popl    found_flags
        str     found_tr
        movl    %cr0, %eax
        movl    %eax, found_cr0
        movl    $0x3333, %eax
        iretl
7721:   EQ      "CALL to a TSS loads EAX from it", found_eax, $0x2222
        EQ      "CALL to a TSS loads ESP from it", found_esp, $free_pages+0x1000
        EQ      "CALL to a TSS loads TR", found_tr, $TSS2
        movl    found_flags, %ecx
        EQ      "CALL to a TSS sets NT", %ecx, $FLAG_NT+2
        movl    found_cr0, %ecx
        andl    $CR0_TS, %ecx
        EQ      "a task switch sets CR0.TS", %ecx, $CR0_TS
        clts
        movzwl  task2 + T_LINK, %ecx
        EQ      "the new TSS links to the old one", %ecx, $TSS_SELECTOR
        EQ      "IRET with NT set returns to the linked task with its EAX", %eax, $0x1111
        EQ      "and its EDI", %edi, $0x5555
        movl    task2 + T_EAX, %ecx
        EQ      "the task that was left has its EAX in its TSS", %ecx, $0x3333
        movl    task2 + T_EIP, %ecx
        EQ      "and the address behind IRET", %ecx, $7721b
        movl    task2 + T_EFLAGS, %ecx
        EQ      "IRET clears NT in the flags it saves", %ecx, $2
        movzbl  gdt + TSS2 + 5, %ecx
        EQ      "the task that was left by IRET is not busy", %ecx, $0x89
        movzbl  gdt + TSS_SELECTOR + 5, %ecx
        EQ      "the task that runs is busy", %ecx, $0x8b
        str     %ecx
        movzwl  %cx, %ecx
        EQ      "TR is the first task's again", %ecx, $TSS_SELECTOR
        ret

jumps:  NEW_TASK 7720f
        movl    %esp, saved_esp
        ljmpl   $TSS2, $0
        jmp     7721f
7720:   pushfl
        popl    %ecx
        movl    %ecx, found_flags
        movzbl  gdt + TSS_SELECTOR + 5, %ecx
        movl    %ecx, found_busy
        ljmpl   $TSS_SELECTOR, $0
7721:   clts
        movl    found_flags, %ecx
        EQ      "JMP to a TSS leaves NT clear", %ecx, $2
        EQ      "JMP to a TSS clears the busy bit of the old one", found_busy, $0x89
        movl    saved_esp, %ecx
        subl    %esp, %ecx
        EQ      "JMP back restores ESP", %ecx, $0
        movzwl  task2 + T_LINK, %ecx
        EQ      "JMP to a TSS writes no link", %ecx, $0
        ret

gates:  NEW_TASK 7720f
        DESCRIPTOR TASK_GATE, 0, 0, (SEG_P|5|SEG_DPL3)
        movw    $TSS2, gdt + TASK_GATE + 2
        lcall   $TASK_GATE, $0
        jmp     7721f
7720:   movl    $0x77, found_eax
        iretl
7721:   clts
        EQ      "CALL to a task gate switches to its task", found_eax, $0x77
        NEW_TASK 7720b
        RING3_BEGIN
        AT
        lcall   $TASK_GATE+3, $0
        int     $LEAVE
        RING3_END
        clts
        RUNS3   "CALL to a task gate of DPL 3 at CPL 3, and back"
        RING3_BEGIN
        AT
        lcall   $TSS2+3, $0
        RING3_END
        FAULTS  "CALL at CPL 3 to a TSS of DPL 0 raises #GP with its selector", GP, TSS2
        movb    $0x85, gdt + TASK_GATE + 5
        RING3_BEGIN
        AT
        lcall   $TASK_GATE+3, $0
        RING3_END
        FAULTS  "CALL at CPL 3 to a task gate of DPL 0 raises #GP with its selector", GP, TASK_GATE
        movb    $0x65, gdt + TASK_GATE + 5
        TRY     lcall $TASK_GATE, $0
        FAULTS  "a task gate that is not present raises #NP with its selector", NP, TASK_GATE
        ret

faults: NEW_TASK 7720f
        orb     $2, gdt + TSS2 + 5
        TRY     lcall $TSS2, $0
        FAULTS  "CALL to a busy TSS raises #GP with its selector", GP, TSS2
        NEW_TASK 7720f
        andb    $0x7f, gdt + TSS2 + 5
        TRY     lcall $TSS2, $0
        FAULTS  "CALL to a TSS that is not present raises #NP with its selector", NP, TSS2
        NEW_TASK 7720f
        movw    $0x66, gdt + TSS2
        TRY     lcall $TSS2, $0
        FAULTS  "CALL to a TSS with a limit below 67H raises #TS with its selector", TS, TSS2
        NEW_TASK 7720f
        pushl   $(FLAG_NT|2)
        popfl
        movw    $0, tss32 + T_LINK
        TRY     iretl
        pushl   $2
        popfl
        EQ      "IRET with NT set and a null link raises #TS", event+EV_VECTOR, $TS
        pushl   $(FLAG_NT|2)
        popfl
        movw    $TSS2, tss32 + T_LINK
        TRY     iretl
        pushl   $2
        popfl
        FAULTS  "IRET with NT set to a TSS that is not busy raises #TS with its selector", TS, TSS2
        /*
         * Faults in the new task (table 8-1). Its segment registers cannot be trusted then: the handler has to
         * be a task (6.15, interrupt 10).
         */
        .macro  BAD_TASK name:req, offset:req, value:req, vector:req, error:req
        NEW_TASK 7720f
        movl    $\value, task2 + \offset
        call    new_handler_tasks
        GATE    TS, 0, 5, HANDLER
        GATE    NP, 0, 5, HANDLER+8
        GATE    SS_, 0, 5, HANDLER+16
        movl    $-1, found_error
        lcall   $TSS2, $0
7720:   clts
        GATE    TS
        GATE    NP
        GATE    SS_
        EQ      "\name", found_error, $EVENT(\vector,\error,0)
        .endm
        BAD_TASK "a null CS in the new TSS raises #TS(0)", T_CS, 0, TS, 0
        EQ      "the saved EIP is that of the new task's first instruction", found_eip, $7720b
        BAD_TASK "a data segment in CS of the new TSS raises #TS with the selector", T_CS, KERNEL_DS, TS, KERNEL_DS
        BAD_TASK "a code segment in SS of the new TSS raises #TS with the selector", T_SS, KERNEL_CS32, TS, KERNEL_CS32
        BAD_TASK "a selector beyond the GDT in DS of the new TSS raises #TS with the selector", T_DS, 0x7f8, TS, 0x7f8
        BAD_TASK "a data segment in the LDT field of the new TSS raises #TS with the selector", T_LDT, KERNEL_DS, TS, KERNEL_DS
        DESCRIPTOR ABSENT, 0, 0xfffff, (SEG_S|SEG_RW|SEG_D|SEG_G)
        BAD_TASK "a segment that is not present in DS of the new TSS raises #NP with the selector", T_DS, ABSENT, NP, ABSENT
        BAD_TASK "a segment that is not present in SS of the new TSS raises #SS with the selector", T_SS, ABSENT, SS_, ABSENT
7720:   ret

/* Three tasks of one size that start at `handler_task`, for #TS, #NP and #SS. */
new_handler_tasks:
        movl    $handlers, %edi
        xorl    %eax, %eax
        movl    $3 * 0x68 / 4, %ecx
        rep stosl
        movl    $2, %ecx
1:      imull   $0x68, %ecx, %edx
        addl    $handlers, %edx
        movl    $handler_task, T_EIP(%edx)
        movl    $2, T_EFLAGS(%edx)
        movl    $free_pages + 0x2000, T_ESP(%edx)
        movl    $KERNEL_CS32, T_CS(%edx)
        .irp    offset, 0x48, 0x50, 0x54, 0x58, 0x5c
        movl    $KERNEL_DS, \offset(%edx)
        .endr
        movl    $0x67, gdt + HANDLER(, %ecx, 8)
        movl    $0x8900, gdt + HANDLER + 4(, %ecx, 8)
        movw    %dx, gdt + HANDLER + 2(, %ecx, 8)
        shrl    $16, %edx
        movb    %dl, gdt + HANDLER + 4(, %ecx, 8)
        decl    %ecx
        jns     1b
        ret

/*
 * Notes vector and error code and the interrupted task's EIP; goes on in the first task, which the chain
 * keeps busy.
 */
handler_task:
        popl    found_error
        str     %eax
        subl    $HANDLER, %eax
        shrl    $3, %eax
        addl    $TS, %eax
        shll    $20, %eax
        orl     %eax, found_error
        movl    task2 + T_EIP, %eax
        movl    %eax, found_eip
        movb    $0x89, gdt + TSS_SELECTOR + 5
        ljmpl   $TSS_SELECTOR, $0

exceptions:
        /* A task gate in the IDT: the error code lies on the new task's stack. */
        NEW_TASK gp_task
        GATE    GP, 0, 5, TSS2
        movl    %esp, saved_esp
        movl    $7721f, found_eax
        movl    $0x7f8, %eax
7720:   movl    %eax, %fs
        nop
7721:   GATE    GP
        clts
        EQ      "a task gate in the IDT takes the exception to its task, error code on its stack", found_error, $0x7f8
        EQ      "the saved EIP of the old task is that of the fault", found_eip, $7720b
        movl    found_flags, %eax
        EQ      "the new task has NT set", %eax, $FLAG_NT+2
        /* T flag: #DB before the first instruction of the new task. */
        NEW_TASK 7720f
        movw    $1, task2 + T_TRAP
        movl    %esp, saved_esp
        TRY_BEGIN
        movl    $7720f, try_start
        lcall   $TSS2, $0
7720:   nop
        TRY_END
        movl    saved_esp, %esp                 /* task 2 has another */
        FAULTS  "the T flag of a TSS raises #DB before the task's first instruction", DB, 0
        movl    %dr6, %eax
        andl    $0xe00f, %eax
        EQ      "with DR6.BT set", %eax, $0x8000
        movl    $0xffff0ff0, %eax
        movl    %eax, %dr6
        FIRST_TASK
        clts
        ret

/* Skips the faulting instruction of the task it came from. */
gp_task:
        popl    found_error
        movl    tss32 + T_EIP, %eax
        movl    %eax, found_eip
        movl    found_eax, %eax
        movl    %eax, tss32 + T_EIP
        pushfl
        popl    found_flags
        iretl

small_tasks:
        /* A 16-bit TSS (figure 8-3): link, SP0-SS2, IP 0EH, FLAGS, AX 12H ... DI, ES 22H, CS, SS, DS, LDT. */
        movl    $task16, %edi
        xorl    %eax, %eax
        movl    $0x2c / 4, %ecx
        rep stosl
        movw    $small_entry, task16 + 0x0e
        movw    $2, task16 + 0x10
        movw    $0x1616, task16 + 0x12
        movw    $0x2f00, task16 + 0x1a
        .irp    offset, 0x22, 0x26, 0x28
        movw    $KERNEL_DS, task16 + \offset
        .endr
        movw    $KERNEL_CS32, task16 + 0x24
        DESCRIPTOR TSS16, 0, 0x2b, (SEG_P|1)
        DESCRIPTOR_BASE TSS16, task16
        movl    $0x12345678, %eax
        movl    $0x9abcdef0, %ebx
        lcall   $TSS16, $0
        clts
        movzwl  found_eax, %ecx
        EQ      "CALL to a 16-bit TSS loads AX from it", %ecx, $0x1616
        EQ      "the first task's EAX comes back from its 32-bit TSS", %eax, $0x12345678
        movzwl  task16 + 0x12, %ecx
        EQ      "a 16-bit TSS takes AX", %ecx, $0x1717
        movzwl  task16, %ecx
        EQ      "its link", %ecx, $TSS_SELECTOR
        movzbl  gdt + TSS16 + 5, %ecx
        EQ      "its busy bit is clear after IRET", %ecx, $0x81
        ret

        .section .low, "ax"
        .code32
small_entry:
        movl    %eax, found_eax
        movl    $0x1717, %eax
        iretl

        .bss
        .balign 16
task2:  .skip   0x80
handlers: .skip 3 * 0x68
        .balign 16
task16: .skip   0x40
found_eax: .skip 4
found_esp: .skip 4
found_flags: .skip 4
found_tr: .skip 4
found_cr0: .skip 4
found_busy: .skip 4
found_error: .skip 4
found_eip: .skip 4
saved_esp: .skip 4
