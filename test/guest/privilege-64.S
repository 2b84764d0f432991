/* Instructions of CPL 0, and those that CR4 restricts (SDM vol. 3A 5.9; CR4.TSD, UMIP, FSGSBASE, PCE). */
#include "lib/test64.h"

        .text
        .code64
        .globl  main64
main64:
        leaq    USER_ALIAS + free_pages, %rdi
        movl    $0x10, %ecx
        .macro  PRIVILEGED name:req, instruction:vararg
        TRY3    \instruction
        FAULTS  "\name at CPL 3 raises #GP(0)", GP, 0
        .endm
        PRIVILEGED "HLT", hlt
        PRIVILEGED "LGDT", lgdt (%rdi)
        PRIVILEGED "LIDT", lidt (%rdi)
        PRIVILEGED "LLDT", lldt %ax
        PRIVILEGED "LTR", ltr %ax
        PRIVILEGED "INVLPG", invlpg (%rdi)
        PRIVILEGED "INVD", invd
        PRIVILEGED "WBINVD", wbinvd
        PRIVILEGED "RDMSR", rdmsr
        PRIVILEGED "WRMSR", wrmsr
        PRIVILEGED "MOV to CR3", movq %rax, %cr3
        PRIVILEGED "MOV to DR7", movq %rax, %dr7
        PRIVILEGED "CLI", cli
        PRIVILEGED "STI", sti
        PRIVILEGED "IN", inb $0x80, %al
        PRIVILEGED "OUT", outb %al, $0x80
        PRIVILEGED "RDPMC without CR4.PCE", rdpmc
        RING3_BEGIN FLAG_IOPL|2
        sti
        cli
        RING3_END
        RUNS3   "CLI and STI at CPL 3 with IOPL 3"

        call    tsc
        call    user_mode_instruction_prevention
        call    segment_bases
        call    model_specific_registers
        call    xsetbv_rules
        ret

tsc:    rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, %rbx
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        cmpq    %rbx, %rax
        setae   %al
        movzbl  %al, %eax
        EQ      "RDTSC never goes back", %rax, $1
        TRY3    rdtsc
        RUNS3   "RDTSC at CPL 3 with CR4.TSD clear"
        SET_CR  cr4, CR4_TSD
        TRY3    rdtsc
        FAULTS  "RDTSC at CPL 3 with CR4.TSD set raises #GP(0)", GP, 0
        TRY3    rdtscp
        FAULTS  "RDTSCP at CPL 3 with CR4.TSD set raises #GP(0)", GP, 0
        TRY     rdtsc
        RUNS    "RDTSC at CPL 0 with CR4.TSD set"
        CLEAR_CR cr4, CR4_TSD
        WRITE_MSR IA32_TSC_AUX, $0x1234
        rdtscp
        EQ      "RDTSCP puts IA32_TSC_AUX in ECX", %rcx, $0x1234
        ret

user_mode_instruction_prevention:
        leaq    USER_ALIAS + free_pages, %rdi
        .macro  STORES name:req, instruction:vararg
        TRY3    \instruction
        RUNS3   "\name at CPL 3 without CR4.UMIP"
        SET_CR  cr4, CR4_UMIP
        TRY3    \instruction
        FAULTS  "\name at CPL 3 with CR4.UMIP raises #GP(0)", GP, 0
        TRY     \instruction
        RUNS    "\name at CPL 0 with CR4.UMIP"
        CLEAR_CR cr4, CR4_UMIP
        .endm
        STORES  "SGDT", sgdt (%rdi)
        STORES  "SIDT", sidt (%rdi)
        STORES  "SLDT", sldt %ax
        STORES  "STR", str %ax
        STORES  "SMSW", smsw %ax
        str     %eax
        EQ      "STR stores the task register's selector", %rax, $TSS_SELECTOR
        movq    $-1, free_pages + 8
        sidt    free_pages + 0x30
        EQ      "SIDT stores a base of 64 bits", free_pages+0x32, $idt64
        movzwl  free_pages + 0x30, %eax
        EQ      "and a limit of 16", %rax, $4095
        ret

segment_bases:
        TRY     rdfsbase %rax
        FAULTS  "RDFSBASE without CR4.FSGSBASE is #UD", UD, 0
        SET_CR  cr4, CR4_FSGSBASE
        movq    $free_pages, %rax
        wrfsbase %rax
        movl    $0x4321, free_pages + 0x20
        movl    %fs:0x20, %ecx
        EQ      "WRFSBASE sets the base of FS", %rcx, $0x4321
        READ_MSR IA32_FS_BASE
        EQ      "which is IA32_FS_BASE", %rax, $free_pages
        movq    $USER_ALIAS, %rax
        RING3_BEGIN
        wrgsbase %rax
        rdgsbase %rbx
        RING3_END
        EQ      "WRGSBASE and RDGSBASE at CPL 3", %rbx, $USER_ALIAS
        movabsq $1 << 47, %rax
        TRY     wrgsbase %rax
        FAULTS  "WRGSBASE of a non-canonical address raises #GP(0)", GP, 0
        movabsq $0xffffffff12345678, %rax
        wrgsbase %eax
        rdgsbase %rcx
        EQ      "WRGSBASE with a 32-bit register clears bits 32-63", %rcx, $0x12345678
        xorl    %eax, %eax
        wrgsbase %rax
        wrfsbase %rax
        CLEAR_CR cr4, CR4_FSGSBASE
        ret

model_specific_registers:
        movl    $0x12345, %ecx
        movl    $0x1111, %eax
        movl    $0x2222, %edx
        TRY     rdmsr
        FAULTS  "RDMSR of a register that does not exist raises #GP(0)", GP, 0
        EQ      "and leaves EAX as it was", %rax, $0x1111
        EQ      "and leaves EDX as it was", %rdx, $0x2222
        TRY     wrmsr
        FAULTS  "WRMSR of a register that does not exist raises #GP(0)", GP, 0
        movq    $-1, %rax
        movq    $-1, %rdx
        movl    $IA32_APIC_BASE, %ecx
        rdmsr
        shrq    $32, %rax
        EQ      "RDMSR clears bits 32-63 of RAX", %rax, $0
        shrq    $32, %rdx
        EQ      "RDMSR clears bits 32-63 of RDX", %rdx, $0
        movl    $IA32_PAT, %ecx
        movl    $0x00070402, %eax
        xorl    %edx, %edx
        TRY     wrmsr
        FAULTS  "WRMSR of IA32_PAT with a reserved memory type raises #GP(0)", GP, 0
        READ_MSR IA32_PAT
        movabsq $0x0007040600070406, %rdx
        EQ      "IA32_PAT holds its reset value", %rax, %rdx
        /* Bits 0-31 of ECX count. */
        movabsq $0x100000000 + IA32_PAT, %rcx
        TRY     rdmsr
        RUNS    "RDMSR ignores bits 32-63 of RCX"
        ret

xsetbv_rules:
        NEEDS   1, ecx, 26, 1f
        xorl    %ecx, %ecx
        TRY     xgetbv
        FAULTS  "XGETBV without CR4.OSXSAVE is #UD", UD, 0
        movl    $1, %eax
        cpuid
        andl    $1 << 27, %ecx
        EQ      "CPUID.1:ECX.OSXSAVE follows CR4.OSXSAVE: clear", %rcx, $0
        SET_CR  cr4, CR4_OSXSAVE
        movl    $1, %eax
        cpuid
        andl    $1 << 27, %ecx
        EQ      "CPUID.1:ECX.OSXSAVE follows CR4.OSXSAVE: set", %rcx, $1<<27
        xorl    %ecx, %ecx
        xgetbv
        EQ      "XCR0 is 1 after reset", %rax, $1
        xorl    %edx, %edx
        xorl    %ecx, %ecx
        movl    $3, %eax
        TRY     xsetbv
        RUNS    "XSETBV of x87 and SSE state"
        movl    $2, %eax
        TRY     xsetbv
        FAULTS  "XSETBV with bit 0 clear raises #GP(0)", GP, 0
        movl    $7|1<<31, %eax
        TRY     xsetbv
        FAULTS  "XSETBV with a reserved bit set raises #GP(0)", GP, 0
        movl    $1, %ecx
        movl    $3, %eax
        TRY     xsetbv
        FAULTS  "XSETBV of a register other than XCR0 raises #GP(0)", GP, 0
        xorl    %ecx, %ecx
        TRY3    xsetbv
        FAULTS  "XSETBV at CPL 3 raises #GP(0)", GP, 0
        TRY3    xgetbv
        RUNS3   "XGETBV at CPL 3"
        CLEAR_CR cr4, CR4_OSXSAVE
1:      ret
