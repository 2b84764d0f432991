/* Local APIC timer and self-interrupts, I/O APIC, 8259 pair with the 8254, HLT (SDM vol. 3A chapter 11). */
#include "lib/test64.h"

#define LAPIC 0xfee00000
#define IOAPIC 0xfec00000
#define ID 0x20
#define TPR 0x80
#define PPR 0xa0
#define EOI 0xb0
#define SVR 0xf0
#define ISR 0x100
#define IRR 0x200
#define ICR_LOW 0x300
#define ICR_HIGH 0x310
#define LVT_TIMER 0x320
#define LVT_LINT0 0x350
#define INITIAL_COUNT 0x380
#define CURRENT_COUNT 0x390
#define DIVIDE 0x3e0
#define MASKED 0x10000

        .text
        .code64
        .globl  main64
main64: movl    $LAPIC, %esi
        movl    $IOAPIC, %edi
        movl    $0x1ff, SVR(%rsi)
        call    self_interrupts
        call    priorities
        call    timer
        call    deadline
        call    legacy_timer
        call    redirection
        call    x2apic
        ret

/* Waits in HLT for an interrupt; the event leaves the TRY. */
        .macro  WAIT_FOR_INTERRUPT
        TRY_BEGIN
7730:   sti
        hlt
        jmp     7730b
        TRY_END
        cli
        .endm

/* Whether an interrupt comes within some 50,000 instructions. */
        .macro  WATCH
        movl    $25000, %ecx
        TRY_BEGIN
        sti
7730:   nop
        decl    %ecx
        jnz     7730b
        TRY_END
        cli
        .endm

self_interrupts:
        movl    $0x40051, ICR_LOW(%rsi)         /* shorthand self, vector 51H */
        movl    IRR + 0x20(%rsi), %eax
        EQ      "an interrupt that IF holds off is in the IRR", %rax, $1<<(0x51-0x40)
        TRY_BEGIN
        sti
        AT
        nop
        nop
        TRY_END
        cli
        FAULTS  "the self-interrupt comes behind the instruction that follows STI", 0x51, 0, 1
        movl    ISR + 0x20(%rsi), %eax
        EQ      "an interrupt in service is in the ISR", %rax, $1<<(0x51-0x40)
        movl    IRR + 0x20(%rsi), %eax
        EQ      "and no longer in the IRR", %rax, $0
        movl    $0, EOI(%rsi)
        movl    ISR + 0x20(%rsi), %eax
        EQ      "EOI clears it", %rax, $0
        movl    ID(%rsi), %eax
        movl    %eax, ICR_HIGH(%rsi)
        movl    $0x4052, ICR_LOW(%rsi)          /* physical destination: itself */
        WATCH
        EQ      "an interrupt sent to the processor's own ID", event+EV_VECTOR, $0x52
        movl    $0, EOI(%rsi)
        movl    $0x84053, ICR_LOW(%rsi)         /* shorthand all including self */
        WATCH
        EQ      "shorthand all including self", event+EV_VECTOR, $0x53
        movl    $0, EOI(%rsi)
        movl    $0xc4053, ICR_LOW(%rsi)
        WATCH
        RUNS    "shorthand all excluding self"
        ret

priorities:
        movl    $0x40051, ICR_LOW(%rsi)
        movl    $0x40061, ICR_LOW(%rsi)
        WATCH
        EQ      "of two interrupts the higher vector comes first", event+EV_VECTOR, $0x61
        movl    PPR(%rsi), %eax
        EQ      "PPR is the class in service", %rax, $0x60
        WATCH
        RUNS    "a lower class waits while a higher one is in service"
        movl    $0x40071, ICR_LOW(%rsi)
        WATCH
        EQ      "a higher class comes before EOI", event+EV_VECTOR, $0x71
        movl    $0, EOI(%rsi)
        movl    $0, EOI(%rsi)
        WATCH
        EQ      "the lower class comes after the last EOI of the higher ones", event+EV_VECTOR, $0x51
        movl    $0, EOI(%rsi)
        movl    $0x50, TPR(%rsi)
        movl    $0x40055, ICR_LOW(%rsi)
        WATCH
        RUNS    "a vector of the task priority's class waits"
        movl    $0, TPR(%rsi)
        WATCH
        EQ      "until the task priority is lowered", event+EV_VECTOR, $0x55
        movl    $0, EOI(%rsi)
        ret

timer:  movl    $0xb, DIVIDE(%rsi)              /* by 1 */
        movl    $0x60, LVT_TIMER(%rsi)
        movl    $100000, INITIAL_COUNT(%rsi)
        WAIT_FOR_INTERRUPT
        EQ      "the local APIC timer ends HLT", event+EV_VECTOR, $0x60
        EQ      "with RIP behind the HLT", event+EV_RIP, $7730b+2
        movl    CURRENT_COUNT(%rsi), %eax
        EQ      "a one-shot timer stops at 0", %rax, $0
        movl    $0, EOI(%rsi)
        movl    $MASKED|0x60, LVT_TIMER(%rsi)
        movl    $1000, INITIAL_COUNT(%rsi)
        WATCH
        RUNS    "a masked timer interrupts nothing"
        movl    $0x20060, LVT_TIMER(%rsi)       /* periodic */
        movl    $50000, INITIAL_COUNT(%rsi)
        xorl    %ebx, %ebx
1:      WAIT_FOR_INTERRUPT
        movl    $0, EOI(%rsi)
        incl    %ebx
        cmpl    $5, %ebx
        jb      1b
        EQ      "a periodic timer interrupts again and again", event+EV_VECTOR, $0x60
        movl    $0, INITIAL_COUNT(%rsi)
        WATCH                                   /* one more may have been on its way */
        movl    $0, EOI(%rsi)
        movl    CURRENT_COUNT(%rsi), %eax
        EQ      "an initial count of 0 stops the timer", %rax, $0
        movl    $MASKED|0x60, LVT_TIMER(%rsi)
        movl    $0x100000, INITIAL_COUNT(%rsi)
        movl    CURRENT_COUNT(%rsi), %ebx
        movl    $1000, %ecx
1:      decl    %ecx
        jnz     1b
        movl    CURRENT_COUNT(%rsi), %eax
        cmpl    %ebx, %eax
        setb    %al
        movzbl  %al, %eax
        EQ      "the current count goes down", %rax, $1
        movl    $0, INITIAL_COUNT(%rsi)
        ret

deadline:
        NEEDS   1, ecx, 24, 1f
        movl    $0x40062, LVT_TIMER(%rsi)
        mfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        addq    $200000, %rax
        movq    %rax, %r12
        movq    %rax, %rdx
        shrq    $32, %rdx
        movl    $IA32_TSC_DEADLINE, %ecx
        wrmsr
        WAIT_FOR_INTERRUPT
        EQ      "the TSC-deadline timer ends HLT", event+EV_VECTOR, $0x62
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        cmpq    %r12, %rax
        setae   %al
        movzbl  %al, %eax
        EQ      "not before its deadline", %rax, $1
        READ_MSR IA32_TSC_DEADLINE
        EQ      "then IA32_TSC_DEADLINE reads 0", %rax, $0
        movl    $0, EOI(%rsi)
        jmp     2f
1:      SKIPPED "the TSC-deadline timer ends HLT", "no TSC-deadline"
        SKIPPED "not before its deadline", "no TSC-deadline"
        SKIPPED "then IA32_TSC_DEADLINE reads 0", "no TSC-deadline"
2:      movl    $MASKED|0x60, LVT_TIMER(%rsi)
        ret

        .macro  OUT port:req, value:req
        movb    $\value, %al
        outb    %al, $\port
        .endm

legacy_timer: /* 8259 pair at vectors 20H and 28H through LINT0 as ExtINT; 8254 counter 0, mode 2. */
        movl    $0x700, LVT_LINT0(%rsi)
        OUT     0x20, 0x11
        OUT     0x21, 0x20
        OUT     0x21, 0x04
        OUT     0x21, 0x01
        OUT     0xa0, 0x11
        OUT     0xa1, 0x28
        OUT     0xa1, 0x02
        OUT     0xa1, 0x01
        OUT     0x21, 0xfe
        OUT     0xa1, 0xff
        OUT     0x43, 0x34
        OUT     0x40, 0x00
        OUT     0x40, 0x10
        WAIT_FOR_INTERRUPT
        EQ      "counter 0 of the 8254 ends HLT through the 8259 pair: vector 20H", event+EV_VECTOR, $0x20
        OUT     0x20, 0x0b
        inb     $0x20, %al
        movzbl  %al, %eax
        EQ      "the ISR of the 8259 has line 0", %rax, $1
        WATCH
        RUNS    "line 0 waits for its EOI"
        OUT     0x20, 0x20
        WAIT_FOR_INTERRUPT
        EQ      "after the EOI it comes again", event+EV_VECTOR, $0x20
        OUT     0x20, 0x20
        OUT     0x21, 0xff
        movl    $MASKED|0x700, LVT_LINT0(%rsi)
        ret

redirection: /* Counter 0 is on input 2 of the I/O APIC. */
        .macro  IOAPIC_WRITE register:req, value:req
        movl    $\register, (%rdi)
        movl    $\value, 0x10(%rdi)
        .endm
        movl    $1, (%rdi)
        movl    0x10(%rdi), %eax
        shrl    $16, %eax
        andl    $0xff, %eax
        EQ      "the I/O APIC has 24 inputs", %rax, $23
        movl    $0x15, (%rdi)
        movl    ID(%rsi), %eax
        movl    %eax, 0x10(%rdi)
        IOAPIC_WRITE 0x14, 0x65
        WAIT_FOR_INTERRUPT
        EQ      "the 8254 through the I/O APIC, edge-triggered", event+EV_VECTOR, $0x65
        movl    $0, EOI(%rsi)
        IOAPIC_WRITE 0x14, MASKED|0x65
        WATCH
        /* One that was pending may still have come. */
        movl    $0, EOI(%rsi)
        WATCH
        RUNS    "a masked redirection entry passes nothing on"
        movl    $0x14, (%rdi)
        movl    0x10(%rdi), %eax
        EQ      "a redirection entry reads what was written", %rax, $MASKED+0x65
        ret

x2apic: NEEDS   1, ecx, 21, 1f
        READ_MSR IA32_APIC_BASE
        orl     $0x400, %eax
        movq    %rax, %rdx
        shrq    $32, %rdx
        wrmsr
        READ_MSR 0x802
        EQ      "x2APIC: the ID register has 32 bits", %rax, $0
        movl    $0x66, %eax
        xorl    %edx, %edx
        movl    $0x83f, %ecx
        wrmsr
        WATCH
        EQ      "x2APIC: SELF IPI", event+EV_VECTOR, $0x66
        WRITE_MSR 0x80b, $0
        movl    $0x80b, %ecx
        movl    $1, %eax
        xorl    %edx, %edx
        TRY     wrmsr
        FAULTS  "x2APIC: a non-zero EOI raises #GP(0)", GP, 0
        movl    $0x80b, %ecx
        TRY     rdmsr
        FAULTS  "x2APIC: RDMSR of EOI raises #GP(0)", GP, 0
        movl    $0x831, %ecx
        TRY     rdmsr
        FAULTS  "x2APIC: there is no high half of the ICR", GP, 0
        READ_MSR IA32_APIC_BASE
        andl    $~0x800, %eax
        movq    %rax, %rdx
        shrq    $32, %rdx
        TRY     wrmsr
        FAULTS  "from x2APIC to disabled with EXTD left set raises #GP(0)", GP, 0
        READ_MSR IA32_APIC_BASE
        andl    $~0x400, %eax
        movq    %rax, %rdx
        shrq    $32, %rdx
        TRY     wrmsr
        FAULTS  "from x2APIC straight to xAPIC mode raises #GP(0)", GP, 0
        ret
1:      .irp    name, "x2APIC: the ID register has 32 bits", "x2APIC: SELF IPI", "x2APIC: a non-zero EOI raises #GP(0)", "x2APIC: RDMSR of EOI raises #GP(0)", "x2APIC: there is no high half of the ICR", "from x2APIC to disabled with EXTD left set raises #GP(0)", "from x2APIC straight to xAPIC mode raises #GP(0)"
        SKIPPED "\name", "no x2APIC"
        .endr
        ret
