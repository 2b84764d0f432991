/* TF, RF and the shadow of MOV SS (SDM vol. 3B 18.3.1). */
#include "lib/test64.h"

#define STEPS 64
#define DR6_BS 0x4000

        .text
        .code64
        .globl  main64
main64:
        movq    $step, hook

        .macro  STEP_BEGIN
        movq    $0, traps
        pushq   $(FLAG_TF|2)
        popfq
        .endm
        .macro  STEP_END
        pushq   $2
        popfq
        .endm

        STEP_BEGIN
7710:   nop
7711:   nop
7712:
        STEP_END
        EQ      "POPF that sets TF traps after the next instruction, not after itself", trace, $7711b
        EQ      "every instruction traps behind itself", trace+8, $7712b
        EQ      "POPF that clears TF still traps behind itself", traps, $4
        EQ      "a single-step trap sets DR6.BS", trap_dr6, $DR6_BS
        EQ      "its vector is #DB", event+EV_VECTOR, $DB

        /* A repeated string instruction traps after each iteration. */
        movl    $3, %ecx
        movq    $free_pages, %rdi
        STEP_BEGIN
7710:   rep stosb
7711:   nop
        STEP_END
        EQ      "REP STOSB traps after its first iteration at itself", trace, $7710b
        EQ      "REP STOSB traps after its last iteration behind itself", trace+16, $7711b
        EQ      "REP STOSB with ECX = 3 traps three times", trace+24, $7711b+1
        xorl    %ecx, %ecx
        STEP_BEGIN
        rep stosb
7711:   nop
        STEP_END
        EQ      "REP STOSB with ECX = 0 traps once", trace, $7711b

        movq    $free_pages, %rdi
        movl    $COM1 + 7, %edx
        movl    $2, %ecx
        STEP_BEGIN
7710:   rep insb
7711:   nop
        STEP_END
        EQ      "REP INSB traps after its first iteration at itself", trace, $7710b
        EQ      "REP INSB traps after its last iteration behind itself", trace+8, $7711b
        /* Branches. */
        STEP_BEGIN
        jmp     7711f
        nop
7711:   nop
        STEP_END
        EQ      "a taken branch traps at its target", trace, $7711b
        STEP_BEGIN
        call    7711f
7710:   nop
        jmp     7712f
7711:   ret
7712:
        STEP_END
        EQ      "CALL traps at its target", trace, $7711b
        EQ      "RET traps at its target", trace+8, $7710b

        /* MOV SS holds the trap off until after the next instruction. */
        movl    $KERNEL_DS, %eax
        STEP_BEGIN
        movl    %eax, %ss
        nop
7711:   nop
        STEP_END
        EQ      "MOV SS holds a single-step trap off until after the next instruction", trace, $7711b
        STEP_BEGIN
        pushfq
7711:   popq    %rbx
        STEP_END
        andl    $FLAG_TF, %ebx
        EQ      "PUSHF shows TF", %rbx, $FLAG_TF
        STEP_BEGIN
        cpuid
7711:   nop
        STEP_END
        EQ      "CPUID traps behind itself", trace, $7711b

        /* Software interrupts clear TF on entry: the handler is not stepped, INT n itself does not trap. */
        STEP_BEGIN
7710:   int     $0x30
7711:   nop
7712:
        STEP_END
        EQ      "INT n does not trap behind itself: the next trap is that of the instruction behind it", trace, $7712b

        /* A fault is delivered without a trap; its frame holds TF. */
        movq    $0, hook
        TRY_BEGIN
        pushq   $(FLAG_TF|FLAG_RF|2)
        popfq
        AT
        ud2
        TRY_END
        FAULTS  "an instruction that faults does not trap", UD, 0
        EQ      "the frame of a fault holds TF, and RF set", event+EV_RFLAGS, $(FLAG_TF|FLAG_RF|2)
        TRY     int $0x30
        EQ      "the frame of a software interrupt has RF clear", event+EV_RFLAGS, $2
        TRY     int3
        EQ      "the frame of a trap has RF clear", event+EV_RFLAGS, $2
        movq    $step, hook

        /* IRETQ that sets TF. */
        movq    $0, traps
        movq    %rsp, %rax
        pushq   $KERNEL_DS
        pushq   %rax
        pushq   $(FLAG_TF|2)
        pushq   $KERNEL_CS64
        pushq   $7710f
        iretq
7710:   nop
7711:   nop
        STEP_END
        EQ      "IRETQ that sets TF traps after the instruction it returns to", trace, $7711b

        /* SYSCALL with TF set and masked by IA32_FMASK, and not masked. */
        WRITE_MSR IA32_STAR, $0, $(USER_CS32<<16|KERNEL_CS64)
        WRITE_MSR IA32_LSTAR, $7712f
        WRITE_MSR IA32_FMASK, $FLAG_TF
        STEP_BEGIN
        syscall
        nop
7712:   nop
7713:   STEP_END
        EQ      "SYSCALL with TF masked by IA32_FMASK does not trap", traps, $0
        WRITE_MSR IA32_FMASK, $0
        WRITE_MSR IA32_LSTAR, $7712f
        STEP_BEGIN
        syscall
        nop
7712:   nop
        STEP_END
        EQ      "SYSCALL with TF not masked traps at its target", trace, $7712b

        /* A single step out of CPL 3. */
        movq    $0, hook
        RING3_BEGIN FLAG_TF|2
        nop
        AT
        nop
        RING3_END
        FAULTS  "a step at CPL 3 enters CPL 0", DB, 0
        EQ      "its frame holds TF", event+EV_RFLAGS, $FLAG_TF+2
        ret

/* RDI = frame. */
step:   cmpq    $DB, event + EV_VECTOR
        jne     1f
        movq    traps, %rcx
        cmpq    $STEPS, %rcx
        jae     1f
        movq    (%rdi), %rax
        movq    %rax, trace(, %rcx, 8)
        incq    traps
        movq    %dr6, %rax
        andl    $0xe00f, %eax
        movq    %rax, trap_dr6
        movl    $0xffff0ff0, %eax
        movq    %rax, %dr6
1:      ret

        .bss
        .balign 8
traps:  .skip   8
trap_dr6: .skip 8
trace:  .skip   STEPS * 8
