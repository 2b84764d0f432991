/*
 * Several processors: start-up by INIT and SIPI, interprocessor interrupts, locked operations, translations and code
 * that another processor changes, time (SDM vol. 3A chapters 8, 9.4 and 11). Run with four.
 *
 * Application processors wait in 64-bit mode for a function in `work`, by their APIC ID, and clear it when it is
 * done. Their IDT is this test's own; the bootstrap processor loads it while it wants interrupts.
 */
#include "lib/test64.h"
#include "lib/paging.h"

#define LAPIC 0xfee00000
#define ID 0x20
#define EOI 0xb0
#define LDR 0xd0
#define SVR 0xf0
#define ICR_LOW 0x300
#define ICR_HIGH 0x310
#define X2APIC_EOI 0x80b
#define X2APIC_ICR 0x830

#define COUNT 0x50              /* counts it */
#define PONG 0x51               /* answers the bootstrap processor by COUNT */
#define SHOOT 0x52              /* drops the translation of `PAGE(1)` */

#define OTHERS 0xc0000          /* shorthand: all excluding self */
#define SEND_INIT 0x4500
#define SEND_STARTUP 0x4600
#define SEND_NMI 0x4400
#define LOWEST_PRIORITY 0x100
#define LOGICAL 0x800

/* What everything here finds in RSI and R8: addresses that do not fit a sign-extended displacement. */
        .macro  BASES
        movl    $LAPIC, %esi
        movl    $PAGE(1), %r8d
        .endm

        .text
        .code64
        .globl  main64
main64: BASES
        movl    $0x1ff, SVR(%rsi)
        movl    $1<<24, LDR(%rsi)
        call    start
        call    identities
        call    ping_pong
        call    signals
        call    destinations
        call    locked
        call    time
        call    shootdown
        call    changed_code
        call    monitored
        call    restart
        call    x2apic
        ret

/* Gives processor `id` work, and waits until it is done. */
        .macro  POST id:req, function:req
        movq    $\function, work + 8*\id
        .endm
        .macro  AWAIT id:req
7730:   pause
        cmpq    $0, work + 8*\id
        jne     7730b
        .endm
        .macro  DO id:req, function:req
        POST    \id, \function
        AWAIT   \id
        .endm
        .macro  EVERYWHERE function:req
        POST    1, \function
        POST    2, \function
        POST    3, \function
        call    \function
        AWAIT   1
        AWAIT   2
        AWAIT   3
        .endm

/* Waits until `place` is `value`, or long enough that it never will be. */
        .macro  UNTIL place:req, value:req
        movl    $20000000, %ecx
7731:   cmpl    $\value, \place
        je      7732f
        pause
        decl    %ecx
        jnz     7731b
7732:
        .endm

/* Time for what should not happen. */
        .macro  A_WHILE
        movl    $2000, %ecx
7733:   outb    %al, $0x80
        testl   $511, %ecx
        jnz     7735f
        pause
7735:   decl    %ecx
        jnz     7733b
        .endm

        .macro  SEND destination:req, command:req
        movl    $(\destination)<<24, ICR_HIGH(%rsi)
        movl    $\command, ICR_LOW(%rsi)
        .endm

start:  call    build_idt
        movl    $OTHERS|SEND_INIT, ICR_LOW(%rsi)
        A_WHILE
        movl    alive, %eax
        EQ      "application processors wait for a start-up IPI after INIT", %rax, $0
        movl    $trampoline, %eax
        shrl    $12, %eax
        orl     $OTHERS|SEND_STARTUP, %eax
        movl    %eax, ICR_LOW(%rsi)
        UNTIL   alive, 3
        movl    alive, %eax
        EQ      "three application processors start by INIT and SIPI", %rax, $3
        movzwl  started_cs, %eax
        shll    $4, %eax
        EQ      "in real mode at the vector's page", %rax, $trampoline
        movl    started_cr0, %eax
        EQ      "with CR0 as after INIT: CD, NW and ET at most", %rax, $0x10
        movl    apic_ids, %eax
        EQ      "each has its own local APIC ID", %rax, $0xe
        movl    $trampoline, %eax
        shrl    $12, %eax
        orl     $SEND_STARTUP, %eax
        movl    $2<<24, ICR_HIGH(%rsi)
        movl    %eax, ICR_LOW(%rsi)
        A_WHILE
        movl    alive, %eax
        EQ      "a processor that runs ignores a start-up IPI", %rax, $3
        ret

/* CPUID says what the local APIC does. */
identities:
        EVERYWHERE compare_ids
        movl    id_mismatches, %eax
        EQ      "CPUID leaves 1 and 0BH give the APIC ID", %rax, $0
        movl    $1, %eax
        cpuid
        shrl    $16, %ebx
        movzbl  %bl, %eax
        EQ      "leaf 1 gives room for four IDs in the package", %rax, $4
        btl     $28, %edx
        sbbl    %eax, %eax
        negl    %eax
        EQ      "and sets HTT", %rax, $1
        ret
compare_ids:
        movl    ID(%rsi), %edi
        shrl    $24, %edi
        movl    $1, %eax
        cpuid
        shrl    $24, %ebx
        cmpl    %edi, %ebx
        je      1f
        lock incl id_mismatches
1:      movl    $0xb, %eax
        xorl    %ecx, %ecx
        cpuid
        cmpl    %edi, %edx
        je      1f
        lock incl id_mismatches
1:      ret

/* The bootstrap processor and another one interrupt each other, both out of HLT. */
ping_pong:
        lidt    processors_idt_pointer
        POST    1, serve
        movl    $500, %ebx
1:      movl    counts, %edi
        incl    %edi
        SEND    1, 0x4000|PONG
2:      cli
        cmpl    %edi, counts
        je      3f
        sti
        hlt
        jmp     2b
3:      decl    %ebx
        jnz     1b
        cli
        movl    pongs, %eax
        EQ      "500 interprocessor interrupts arrive", %rax, $500
        movl    counts, %eax
        EQ      "and their answers", %rax, $500
        movl    $1, finished
        SEND    1, 0x4000|COUNT
        AWAIT   1
        movl    $0, finished
        ret
/* Halted, but for interrupts, until `finished`. */
serve:  cli
        cmpl    $0, finished
        jne     1f
        sti
        hlt
        jmp     serve
1:      cli
        ret

signals:
        movl    $0, halted
        POST    2, halt
        UNTIL   halted, 1
        A_WHILE
        SEND    2, 0x4000|COUNT
        A_WHILE
        movq    work + 16, %rax
        EQ      "an interrupt does not end HLT with IF clear", %rax, $halt
        SEND    2, SEND_NMI
        AWAIT   2
        movl    nmis + 8, %eax
        EQ      "an NMI does", %rax, $1
        movl    counts + 8, %eax
        EQ      "the interrupt still waits", %rax, $0
        DO      2, open
        movl    counts + 8, %eax
        EQ      "until IF is set", %rax, $1
        ret
halt:   movl    $1, halted
        hlt
        ret
open:   sti
        nop
        nop
        cli
        ret

destinations:
        call    clear_counts
        movl    $0x84000|COUNT, ICR_LOW(%rsi)
        EVERYWHERE open
        call    all_counts
        EQ      "shorthand all including self", %rax, $0x01010101
        call    clear_counts
        movl    $OTHERS|0x4000|COUNT, ICR_LOW(%rsi)
        EVERYWHERE open
        call    all_counts
        EQ      "shorthand all excluding self", %rax, $0x01010100
        call    clear_counts
        SEND    0xff, 0x4000|COUNT
        EVERYWHERE open
        call    all_counts
        EQ      "physical destination FFH", %rax, $0x01010101
        call    clear_counts
        SEND    6, 0x4000|LOGICAL|COUNT
        EVERYWHERE open
        call    all_counts
        EQ      "logical destination of two", %rax, $0x00010100
        call    clear_counts
        SEND    0xe, 0x4000|LOGICAL|LOWEST_PRIORITY|COUNT
        EVERYWHERE open
        movl    counts, %eax
        addl    counts + 4, %eax
        addl    counts + 8, %eax
        addl    counts + 12, %eax
        EQ      "lowest priority goes to one of three", %rax, $1
        ret
clear_counts:
        movq    $0, counts
        movq    $0, counts + 8
        ret
/* EAX: the four counts, a byte each. */
all_counts:
        movzbl  counts + 12, %eax
        shll    $8, %eax
        movb    counts + 8, %al
        shll    $8, %eax
        movb    counts + 4, %al
        shll    $8, %eax
        movb    counts, %al
        ret

locked: EVERYWHERE add_locked
        movl    sum, %eax
        EQ      "LOCK XADD by four processors loses nothing", %rax, $40000
        EVERYWHERE add_guarded
        movl    guarded, %eax
        EQ      "nor does a lock of LOCK CMPXCHG", %rax, $4000
        ret
add_locked:
        movl    $10000, %ecx
1:      movl    $1, %eax
        lock xaddl %eax, sum
        loop    1b
        ret
add_guarded:
        movl    $1000, %ecx
1:      call    take_lock
        movl    guarded, %eax
        nop
        incl    %eax
        movl    %eax, guarded
        movl    $0, lock_word
        loop    1b
        ret
take_lock:
        movl    $1, %edx
1:      xorl    %eax, %eax
        lock cmpxchgl %edx, lock_word
        je      2f
        pause
        jmp     1b
2:      ret

/* Each reads the counter behind the others: nobody may read less than what was read before. */
time:   EVERYWHERE compare_time
        movl    warps, %eax
        EQ      "the time-stamp counters of four processors are one", %rax, $0
        ret
compare_time:
        movl    $1000, %ecx
1:      call    take_lock
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        cmpq    last_time, %rax
        jae     2f
        lock incl warps
2:      movq    %rax, last_time
        movl    $0, lock_word
        loop    1b
        ret

shootdown:
        movl    $0x11111111, free_pages
        movl    $0x22222222, free_pages + 4096
        movq    $free_pages + PTE_P + PTE_W, scratch_pt + 8
        invlpg  (%r8)
        movl    $50, %ebx
1:      movq    $free_pages + PTE_P + PTE_W, scratch_pt + 8
        call    shoot
        DO      1, read_page
        cmpl    $0x11111111, result
        jne     2f
        movq    $free_pages + 4096 + PTE_P + PTE_W, scratch_pt + 8
        call    shoot
        DO      1, read_page
        cmpl    $0x22222222, result
        jne     2f
        decl    %ebx
        jnz     1b
2:      EQ      "a translation changed by another processor, after INVLPG by IPI", %rbx, $0
        movq    scratch_pt + 8, %rax
        andl    $PTE_A, %eax
        EQ      "the accessed flag is set by the processor that read", %rax, $PTE_A
        ret
/* As the kernel does it: INVLPG here, and by an interrupt in the processor that serves work; waits for it. */
shoot:  invlpg  (%r8)
        movl    $0, acknowledged
        POST    1, open_until_acknowledged
        SEND    1, 0x4000|SHOOT
        UNTIL   acknowledged, 1
        AWAIT   1
        ret
open_until_acknowledged:
        sti
1:      pause
        cmpl    $0, acknowledged
        je      1b
        cli
        ret
read_page:
        movl    (%r8), %eax
        movl    %eax, result
        ret

changed_code:
        /* Each changes the code that the next one executes. All have written to the page before it bore code. */
        movl    $0, patch_value
        EVERYWHERE write_page
        movl    $10, %ebx
        movl    $0, mismatches
1:      .irp    id, 1, 2, 3
        incl    patch_value
        DO      \id, patch
        .irp    other, 1, 2, 3
        DO      \other, execute
        .endr
        .endr
        decl    %ebx
        jnz     1b
        movl    mismatches, %eax
        EQ      "code that another processor has changed", %rax, $0
        /* A loop without end is changed while it is executed. */
        movw    $0xfeeb, endless
        movl    $0, in_loop
        POST    1, endless_loop
        UNTIL   in_loop, 1
        A_WHILE
        movq    work + 8, %rax
        EQ      "a processor in an endless loop", %rax, $endless_loop
        movw    $0x9090, endless
        UNTIL   work+8, 0
        movq    work + 8, %rax
        EQ      "leaves it when another one changes the code that it executes", %rax, $0
        ret
write_page:
        movl    $0, patched + 64
        ret
patch:  movl    patch_value, %eax
        movl    %eax, patched + 1
        ret
execute:
        xorl    %eax, %eax
        cpuid                                   /* cross-modifying code asks for a serialising instruction */
        call    patched
        cmpl    patch_value, %eax
        je      1f
        lock incl mismatches
1:      ret
endless_loop:
        movl    $1, in_loop
endless:
        jmp     endless
        ret

/* MWAIT ends by a store of another processor; interrupts are off. */
monitored:
        NEEDS   1, ecx, 3, 9f
        movl    $0, line
        movl    $0, halted
        POST    3, wait_for_line
        UNTIL   halted, 1
        A_WHILE
        movq    work + 24, %rax
        EQ      "a processor in MWAIT waits", %rax, $wait_for_line
        movl    $1, line
        UNTIL   work+24, 0
        movq    work + 24, %rax
        EQ      "until another one stores to the line", %rax, $0
        ret
9:      SKIPPED "a processor in MWAIT waits", "no MONITOR"
        SKIPPED "until another one stores to the line", "no MONITOR"
        ret
wait_for_line:
        movl    $line, %eax
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        monitor
        movl    $1, halted
        cmpl    $0, line
        jne     1f
        xorl    %eax, %eax
        mwait
        jmp     wait_for_line
1:      ret

restart:
        movl    $0, alive
        POST    3, serve
        A_WHILE
        movl    $3<<24, ICR_HIGH(%rsi)
        movl    $SEND_INIT, ICR_LOW(%rsi)
        A_WHILE
        movq    $0, work + 24
        SEND    3, 0x4000|COUNT
        A_WHILE
        movl    alive, %eax
        EQ      "INIT stops a processor", %rax, $0
        movl    $trampoline, %eax
        shrl    $12, %eax
        orl     $SEND_STARTUP, %eax
        movl    $3<<24, ICR_HIGH(%rsi)
        movl    %eax, ICR_LOW(%rsi)
        UNTIL   alive, 1
        movl    alive, %eax
        EQ      "and a start-up IPI starts it anew", %rax, $1
        movl    apic_ids, %eax
        EQ      "with the same APIC ID", %rax, $0xe
        ret

x2apic: NEEDS   1, ecx, 21, 9f
        EVERYWHERE enter_x2apic
        movl    $1, x2apic_mode
        call    clear_counts
        movl    $X2APIC_ICR, %ecx
        movl    $0x4000|COUNT, %eax
        movl    $3, %edx
        wrmsr
        EVERYWHERE open
        call    all_counts
        EQ      "x2APIC: physical destination", %rax, $0x01000000
        call    clear_counts
        movl    $X2APIC_ICR, %ecx
        movl    $0x4000|LOGICAL|COUNT, %eax
        movl    $6, %edx                        /* cluster 0, members 1 and 2 */
        wrmsr
        EVERYWHERE open
        call    all_counts
        EQ      "x2APIC: logical destination in a cluster", %rax, $0x00010100
        call    clear_counts
        movl    $X2APIC_ICR, %ecx
        movl    $0x4000|COUNT, %eax
        movl    $0xffffffff, %edx
        wrmsr
        EVERYWHERE open
        call    all_counts
        EQ      "x2APIC: broadcast", %rax, $0x01010101
        ret
9:      SKIPPED "x2APIC: physical destination", "no x2APIC"
        SKIPPED "x2APIC: logical destination in a cluster", "no x2APIC"
        SKIPPED "x2APIC: broadcast", "no x2APIC"
        ret
enter_x2apic:
        movl    $IA32_APIC_BASE, %ecx
        rdmsr
        orl     $0x400, %eax
        wrmsr
        ret

/* ---- Application processors ---------------------------------------------------------------------------- */

        .section .low, "ax"
        .code16
        .balign 4096
/* CS:IP = vector << 8:0. */
trampoline:
        movw    %cs, %ax
        movw    %ax, %ds
        movw    %ax, started_cs - trampoline
        movl    %cr0, %eax
        movl    %eax, %edx
        andl    $~(CR0_CD | CR0_NW), %edx
        movl    %edx, started_cr0 - trampoline
        lgdtl   started_gdt - trampoline
        andl    $~(CR0_CD | CR0_NW), %eax
        orl     $CR0_PE, %eax
        movl    %eax, %cr0
        ljmpl   $KERNEL_CS32, $started32
started_gdt:
        .word   GDT_END - 1
        .long   gdt
started_cs: .word 0
        .balign 4
started_cr0: .long 0

        .text
        .code32
started32:
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $CR4_PAE, %eax
        movl    %eax, %cr4
        movl    $pml4, %eax
        movl    %eax, %cr3
        movl    $IA32_EFER, %ecx
        movl    $EFER_LME, %eax
        xorl    %edx, %edx
        wrmsr
        movl    $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
        movl    %eax, %cr0
        ljmpl   $KERNEL_CS64, $started64

        .code64
started64:
        lidt    processors_idt_pointer
        BASES
        movl    ID(%rsi), %ebp
        shrl    $24, %ebp
        leal    1(%rbp), %esp                   /* its stack ends where the next one's begins */
        shll    $12, %esp
        addl    $stacks, %esp
        movl    $0x1ff, SVR(%rsi)
        leal    24(%rbp), %ecx
        movl    $1, %eax
        shll    %cl, %eax
        movl    %eax, LDR(%rsi)
        lock btsl %ebp, apic_ids
        lock incl alive
1:      movq    work(, %rbp, 8), %rax
        testq   %rax, %rax
        jnz     2f
        pause
        jmp     1b
2:      pushq   %rbp
        call    *%rax
        popq    %rbp
        movq    $0, work(, %rbp, 8)
        jmp     1b

/* RAX: the APIC ID, told by the stack. */
        .macro  OWN_ID
        movq    %rsp, %rax
        subq    $stacks, %rax
        shrq    $12, %rax
        cmpq    $4, %rax
        jb      7734f
        xorl    %eax, %eax
7734:
        .endm

        .macro  HANDLER name:req
        .balign 16
\name:  pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %r8
        BASES
        .endm

        HANDLER on_count
        OWN_ID
        lock incl counts(, %rax, 4)
        jmp     end_of_interrupt
        HANDLER on_pong
        lock incl pongs
        SEND    0, 0x4000|COUNT
        jmp     end_of_interrupt
        HANDLER on_shoot
        invlpg  (%r8)
        lock incl acknowledged
end_of_interrupt:
        cmpl    $0, x2apic_mode
        jne     1f
        movl    $0, EOI(%rsi)
        jmp     return
1:      movl    $X2APIC_EOI, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
return: popq    %r8
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rax
        iretq
        HANDLER on_nmi
        OWN_ID
        lock incl nmis(, %rax, 4)
        jmp     return

build_idt:
        movl    $COUNT, %edi
        movl    $on_count, %eax
        call    1f
        movl    $PONG, %edi
        movl    $on_pong, %eax
        call    1f
        movl    $SHOOT, %edi
        movl    $on_shoot, %eax
        call    1f
        movl    $NMI, %edi
        movl    $on_nmi, %eax
1:      shll    $4, %edi
        addl    $processors_idt, %edi
        movw    %ax, (%rdi)
        movw    $KERNEL_CS64, 2(%rdi)
        movw    $0x8e00, 4(%rdi)
        shrl    $16, %eax
        movw    %ax, 6(%rdi)
        movq    $0, 8(%rdi)
        ret

        .data
        .balign 8
work:   .quad   0, 0, 0, 0
last_time: .quad 0
counts: .long   0, 0, 0, 0
nmis:   .long   0, 0, 0, 0
alive:  .long   0
apic_ids: .long 0
id_mismatches: .long 0
pongs:  .long   0
finished: .long 0
halted: .long   0
sum:    .long   0
guarded: .long  0
lock_word: .long 0
warps:  .long   0
acknowledged: .long 0
result: .long   0
patch_value: .long 0
mismatches: .long 0
in_loop: .long  0
x2apic_mode: .long 0
processors_idt_pointer:
        .word   256 * 16 - 1
        .quad   processors_idt
/* Code on a page of its own that holds data at first. */
        .balign 4096
patched:
        .byte   0xb8                            /* MOV EAX, imm32 */
        .long   0
        ret
        .balign 64
        .long   0
        .balign 4096

        .bss
        .balign 4096
processors_idt: .skip 4096
stacks: .skip   4 * 4096
        .balign 64
line:   .skip   64

        .section .note.GNU-stack, "", @progbits
