/* SYSCALL, SYSRET, SYSENTER, SYSEXIT and SWAPGS in IA-32e mode (SDM vol. 2; vol. 3A 5.8.7, 5.8.8). */
#include "lib/test64.h"

        .text
        .code64
        .globl  main64
main64:
        WRITE_MSR IA32_STAR, $0, $(USER_CS32<<16|KERNEL_CS64)
        WRITE_MSR IA32_LSTAR, $syscall_target
        WRITE_MSR IA32_FMASK, $(FLAG_IF|FLAG_DF|FLAG_AC)
        call    syscalls
        call    sysrets
        call    sysenters
        call    swapgs_pairs
        ret

/* Where SYSCALL arrives: notes what it finds, on no stack of its own, and leaves by a software interrupt. */
syscall_target:
        movq    %rsp, found_rsp
        movq    $stack_top - 0x100, %rsp
        movq    %rcx, found_rcx
        movq    %r11, found_r11
        movl    %cs, %eax
        movq    %rax, found_cs
        movl    %ss, %eax
        movq    %rax, found_ss
        pushfq
        popq    found_flags
        int     $0x30

syscalls:
        RING3_BEGIN FLAG_IF|FLAG_DF|FLAG_CF|FLAG_AC|2
        cld
        std
        AT
        syscall
7720:
        RING3_END
        EQ      "SYSCALL enters at IA32_LSTAR", event+EV_VECTOR, $0x30
        EQ      "SYSCALL saves the address behind itself in RCX", found_rcx, $USER_ALIAS+7720b
        EQ      "SYSCALL saves RFLAGS in R11", found_r11, $(FLAG_IF|FLAG_DF|FLAG_CF|FLAG_AC|2)
        EQ      "SYSCALL clears the flags of IA32_FMASK", found_flags, $FLAG_CF+2
        EQ      "SYSCALL loads CS from STAR[47:32]", found_cs, $KERNEL_CS64
        EQ      "SYSCALL loads SS with STAR[47:32] + 8", found_ss, $KERNEL_DS
        EQ      "SYSCALL does not switch stacks", found_rsp, $USER_ALIAS+user_stack_top
        TRY     syscall
        EQ      "SYSCALL at CPL 0 saves RCX too", found_rcx, $7701b
        EQ      "SYSCALL at CPL 0 stays at CPL 0", found_cs, $KERNEL_CS64
        READ_MSR IA32_EFER
        andl    $~EFER_SCE, %eax
        movq    %rax, %rdx
        shrq    $32, %rdx
        wrmsr
        TRY3    syscall
        FAULTS  "SYSCALL with EFER.SCE clear is #UD", UD, 0
        TRY     sysretq
        FAULTS  "SYSRET with EFER.SCE clear is #UD", UD, 0
        READ_MSR IA32_EFER
        orl     $EFER_SCE, %eax
        movq    %rax, %rdx
        shrq    $32, %rdx
        wrmsr
        movabsq $1 << 47, %rax
        movq    %rax, %rdx
        shrq    $32, %rdx
        movl    $IA32_LSTAR, %ecx
        TRY     wrmsr
        FAULTS  "WRMSR of a non-canonical IA32_LSTAR raises #GP(0)", GP, 0
        /* Compatibility mode: Intel processors do not have SYSCALL there. */
        TRY_BEGIN
        movq    $USER_ALIAS + 7701f, try_start
        pushq   $USER_DS
        pushq   $USER_ALIAS + user_stack_top
        pushq   $2
        pushq   $USER_CS32
        pushq   $USER_ALIAS + 7720f
        iretq
        .code32
7720:
7701:   syscall
        int     $LEAVE
        .code64
        TRY_END
        FAULTS  "SYSCALL in compatibility mode is #UD", UD, 0
        EQ      "whose frame holds the 32-bit CS", event+EV_CS, $USER_CS32
        ret

sysrets:
        TRY_BEGIN
        movq    %rsp, %r12
        movq    $USER_ALIAS + 7720f, %rcx
        movq    %rcx, try_start
        movl    $(FLAG_CF|FLAG_IF|FLAG_RF|FLAG_VM|0x8028|2), %r11d
        movq    $USER_ALIAS + user_stack_top, %rsp
        sysretq
7720:   int     $LEAVE
        TRY_END
        FAULTS  "SYSRET goes to RCX", LEAVE, 0, 2
        EQ      "SYSRET with REX.W loads CS with STAR[63:48] + 16, RPL 3", event+EV_CS, $USER_CS64
        EQ      "SYSRET loads SS with STAR[63:48] + 8, RPL 3", event+EV_SS, $USER_DS
        EQ      "SYSRET loads RFLAGS from R11 without RF, VM and the reserved bits", event+EV_RFLAGS, $(FLAG_CF|FLAG_IF|2)
        TRY_BEGIN
        movabsq $0xdead00000000, %rcx
        addq    $USER_ALIAS + 7720f, %rcx
        movq    $USER_ALIAS + 7720f, try_start
        movl    $2, %r11d
        movq    $USER_ALIAS + user_stack_top, %rsp
        sysretl
        .code32
7720:   int     $LEAVE
        .code64
        TRY_END
        FAULTS  "SYSRET without REX.W goes to ECX", LEAVE, 0, 2
        EQ      "SYSRET without REX.W enters compatibility mode: CS = STAR[63:48], RPL 3", event+EV_CS, $USER_CS32
        TRY3    sysretq
        FAULTS  "SYSRET at CPL 3 raises #GP(0)", GP, 0
        movabsq $1 << 47, %rcx
        movl    $2, %r11d
        TRY     sysretq
        FAULTS  "SYSRET with a non-canonical RCX raises #GP(0)", GP, 0
        EQ      "SYSRET with a non-canonical RCX raises #GP at CPL 0", event+EV_CS, $KERNEL_CS64
        ret

sysenters:
        WRITE_MSR IA32_SYSENTER_CS, $0
        TRY     sysenter
        FAULTS  "SYSENTER with a null IA32_SYSENTER_CS raises #GP(0)", GP, 0
        TRY     sysexitq
        FAULTS  "SYSEXIT with a null IA32_SYSENTER_CS raises #GP(0)", GP, 0
        WRITE_MSR IA32_SYSENTER_CS, $KERNEL_CS64
        WRITE_MSR IA32_SYSENTER_ESP, $(free_pages+0x800)
        WRITE_MSR IA32_SYSENTER_EIP, $syscall_target
        RING3_BEGIN FLAG_IF|FLAG_CF|2
        movl    $0x77, %ecx
        AT
        sysenter
        RING3_END
        EQ      "SYSENTER enters at IA32_SYSENTER_EIP", event+EV_VECTOR, $0x30
        EQ      "SYSENTER loads RSP from IA32_SYSENTER_ESP", found_rsp, $free_pages+0x800
        EQ      "SYSENTER clears IF and keeps the other flags", found_flags, $FLAG_CF+2
        EQ      "SYSENTER loads CS from IA32_SYSENTER_CS", found_cs, $KERNEL_CS64
        EQ      "SYSENTER loads SS with IA32_SYSENTER_CS + 8", found_ss, $KERNEL_DS
        EQ      "SYSENTER saves nothing in RCX", found_rcx, $0x77
        TRY_BEGIN
        movq    $USER_ALIAS + 7720f, %rdx
        movq    %rdx, try_start
        movq    $USER_ALIAS + user_stack_top, %rcx
        sysexitq
7720:   int     $LEAVE
        TRY_END
        FAULTS  "SYSEXIT with REX.W goes to RDX", LEAVE, 0, 2
        EQ      "SYSEXIT with REX.W loads CS with IA32_SYSENTER_CS + 32, RPL 3", event+EV_CS, $USER_CS64
        EQ      "SYSEXIT with REX.W loads SS with IA32_SYSENTER_CS + 40, RPL 3", event+EV_SS, $USER_DS2
        EQ      "SYSEXIT loads RSP from RCX", event+EV_RSP, $USER_ALIAS+user_stack_top
        TRY_BEGIN
        movq    $USER_ALIAS + 7720f, %rdx
        movq    %rdx, try_start
        movq    $USER_ALIAS + user_stack_top, %rcx
        sysexitl
        .code32
7720:   int     $LEAVE
        .code64
        TRY_END
        EQ      "SYSEXIT without REX.W enters compatibility mode: CS = IA32_SYSENTER_CS + 16, RPL 3", event+EV_CS, $USER_CS32
        EQ      "with SS = IA32_SYSENTER_CS + 24, RPL 3", event+EV_SS, $USER_DS
        TRY3    sysexitq
        FAULTS  "SYSEXIT at CPL 3 raises #GP(0)", GP, 0
        movabsq $1 << 47, %rdx
        xorl    %ecx, %ecx
        TRY     sysexitq
        FAULTS  "SYSEXIT to a non-canonical RDX raises #GP(0)", GP, 0
        /* From compatibility mode. */
        TRY_BEGIN
        pushq   $USER_DS
        pushq   $USER_ALIAS + user_stack_top
        pushq   $2
        pushq   $USER_CS32
        pushq   $USER_ALIAS + 7720f
        iretq
        .code32
7720:   sysenter
        .code64
        TRY_END
        EQ      "SYSENTER in compatibility mode enters 64-bit mode", event+EV_VECTOR, $0x30
        EQ      "with CS of IA32_SYSENTER_CS", found_cs, $KERNEL_CS64
        ret

swapgs_pairs:
        WRITE_MSR IA32_GS_BASE, $(free_pages+0x100)
        WRITE_MSR IA32_KERNEL_GS_BASE, $(free_pages+0x200)
        movl    $0x111, free_pages + 0x110
        movl    $0x222, free_pages + 0x210
        movl    %gs:0x10, %eax
        EQ      "GS addresses from IA32_GS_BASE", %rax, $0x111
        swapgs
        movl    %gs:0x10, %eax
        EQ      "SWAPGS exchanges it with IA32_KERNEL_GS_BASE", %rax, $0x222
        READ_MSR IA32_KERNEL_GS_BASE
        EQ      "which then holds the old one", %rax, $free_pages+0x100
        swapgs
        TRY3    swapgs
        FAULTS  "SWAPGS at CPL 3 raises #GP(0)", GP, 0
        movabsq $1 << 47, %rax
        movq    %rax, %rdx
        shrq    $32, %rdx
        movl    $IA32_GS_BASE, %ecx
        TRY     wrmsr
        FAULTS  "WRMSR of a non-canonical IA32_GS_BASE raises #GP(0)", GP, 0
        movl    $IA32_KERNEL_GS_BASE, %ecx
        TRY     wrmsr
        FAULTS  "WRMSR of a non-canonical IA32_KERNEL_GS_BASE raises #GP(0)", GP, 0
        /* FS and GS keep bases of 64 bits, and a selector load replaces them. */
        WRITE_MSR IA32_FS_BASE, $(free_pages+0x100), $0xffff8000
        READ_MSR IA32_FS_BASE
        movabsq $0xffff800000000000 + free_pages + 0x100, %rdx
        EQ      "IA32_FS_BASE holds 64 bits", %rax, %rdx
        movl    $KERNEL_DS, %eax
        movl    %eax, %fs
        READ_MSR IA32_FS_BASE
        EQ      "MOV FS replaces the base by the descriptor's", %rax, $0
        xorl    %eax, %eax
        movl    %eax, %fs
        ret

        .bss
        .balign 8
found_rsp: .skip 8
found_rcx: .skip 8
found_r11: .skip 8
found_cs: .skip 8
found_ss: .skip 8
found_flags: .skip 8
