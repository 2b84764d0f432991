/* #NM, #MF, #XM and #UD of x87 and SSE; FXSAVE and XSAVE (SDM vol. 1 8.7, 10.5, 13; vol. 3A 2.5, 13). */
#include "lib/test64.h"

#define AREA free_pages
#define AREA2 (free_pages + 4096)
#define AREA3 (free_pages + 2 * 4096)

        .text
        .code64
        .globl  main64
main64:
        call    device_not_available
        call    x87_errors
        call    simd_errors
        call    fxsave_layout
        call    xsave_round_trips
        ret

device_not_available:
        SET_CR  cr0, CR0_TS
        TRY     fnop
        FAULTS  "an x87 instruction with CR0.TS raises #NM", NM, 0
        TRY     fwait
        FAULTS  "WAIT with CR0.TS and CR0.MP raises #NM", NM, 0
        TRY     movaps %xmm0, %xmm1
        FAULTS  "an SSE instruction with CR0.TS raises #NM", NM, 0
        TRY     emms
        FAULTS  "EMMS with CR0.TS raises #NM", NM, 0
        TRY     fxsave AREA
        FAULTS  "FXSAVE with CR0.TS raises #NM", NM, 0
        CLEAR_CR cr0, CR0_MP
        TRY     fwait
        RUNS    "WAIT with CR0.TS and without CR0.MP"
        clts
        SET_CR  cr0, CR0_EM
        TRY     fnop
        FAULTS  "an x87 instruction with CR0.EM raises #NM", NM, 0
        TRY     emms
        FAULTS  "an MMX instruction with CR0.EM is #UD", UD, 0
        TRY     movaps %xmm0, %xmm1
        FAULTS  "an SSE instruction with CR0.EM is #UD", UD, 0
        CLEAR_CR cr0, CR0_EM
        SET_CR  cr0, CR0_MP
        CLEAR_CR cr4, CR4_OSFXSR
        TRY     movaps %xmm0, %xmm1
        FAULTS  "an SSE instruction without CR4.OSFXSR is #UD", UD, 0
        TRY     fnop
        RUNS    "x87 does not need CR4.OSFXSR"
        SET_CR  cr4, CR4_OSFXSR
        ret

x87_errors:
        fninit
        pushq   $0x37b                          /* #Z not masked */
        fldcw   (%rsp)
        fld1
        fldz
        TRY     fdivrp
        RUNS    "a division by zero that is not masked: the FDIV itself completes"
        TRY     fnstsw %ax
        RUNS    "FNSTSW does not report a pending error"
        andl    $0x84, %eax
        EQ      "the status word has ZE and ES", %rax, $0x84
        TRY     fld1
        FAULTS  "the next x87 instruction raises #MF (CR0.NE)", MF, 0
        TRY     fwait
        FAULTS  "WAIT raises #MF", MF, 0
        fnclex
        TRY     fwait
        RUNS    "FNCLEX clears the error"
        movw    $0x37f, (%rsp)
        fldcw   (%rsp)
        popq    %rax
        fninit
        ret

simd_errors:
        pushq   $0x1d80                         /* #Z not masked */
        ldmxcsr (%rsp)
        movl    $0x3f800000, %eax
        movd    %eax, %xmm0
        xorps   %xmm1, %xmm1
        TRY     divss %xmm1, %xmm0
        FAULTS  "a SIMD division by zero that is not masked raises #XM as a fault", XM, 0
        movd    %xmm0, %ecx
        EQ      "the destination is as it was", %rcx, %rax
        stmxcsr (%rsp)
        movl    (%rsp), %ecx
        EQ      "MXCSR.ZE is set", %rcx, $0x1d84
        CLEAR_CR cr4, CR4_OSXMMEXCPT
        TRY     divss %xmm1, %xmm0
        FAULTS  "without CR4.OSXMMEXCPT it is #UD", UD, 0
        SET_CR  cr4, CR4_OSXMMEXCPT
        movl    $0x1f80, (%rsp)
        ldmxcsr (%rsp)
        movl    $0xffff0000, (%rsp)
        TRY     ldmxcsr (%rsp)
        FAULTS  "LDMXCSR with a reserved bit set raises #GP(0)", GP, 0
        movl    $0x1f80, (%rsp)
        ldmxcsr (%rsp)
        popq    %rax
        ret

fxsave_layout:
        movq    $AREA, %rdi
        movl    $512 / 8, %ecx
        movq    $-1, %rax
        rep stosq
        fninit
        fld1
        fldz
        movabsq $0x1122334455667788, %rax
        movq    %rax, %xmm5
        movq    %rax, %xmm15
        fxsave64 AREA
        movzwl  AREA, %eax
        EQ      "FXSAVE: FCW at 0", %rax, $0x37f
        movzwl  AREA + 2, %eax
        andl    $0x3800, %eax
        EQ      "FXSAVE: FSW at 2, TOP is 6", %rax, $0x3000
        movzbl  AREA + 4, %eax
        EQ      "FXSAVE: the abridged tag byte at 4 has a bit for each register in use", %rax, $0xc0
        movl    AREA + 24, %eax
        EQ      "FXSAVE: MXCSR at 24", %rax, $0x1f80
        movzwl  AREA + 48 + 8, %eax
        EQ      "FXSAVE: ST(1) at 48", %rax, $0x3fff
        EQ      "FXSAVE: its significand", AREA+32, $0
        movabsq $0x1122334455667788, %rax
        EQ      "FXSAVE: XMM5 at 160 + 5 * 16", AREA+160+80, %rax
        EQ      "FXSAVE64 stores XMM8-XMM15 too", AREA+160+240, %rax
        EQ      "FXSAVE leaves bytes 464-511 alone", AREA+464, $-1
        fninit
        pxor    %xmm5, %xmm5
        fxrstor64 AREA
        movq    %xmm5, %rcx
        EQ      "FXRSTOR loads XMM5", %rcx, %rax
        fstp    %st(0)
        fstpl   AREA2
        movabsq $0x3ff0000000000000, %rax
        EQ      "FXRSTOR loads the register stack", AREA2, %rax
        TRY     fxsave AREA + 8
        FAULTS  "FXSAVE at an address that is no multiple of 16 raises #GP(0)", GP, 0
        movl    $0x80000000, AREA + 24
        TRY     fxrstor AREA
        FAULTS  "FXRSTOR of an MXCSR with a reserved bit raises #GP(0)", GP, 0
        fninit
        ret

        .macro  CLEAR_AREA area:req
        movq    $\area, %rdi
        movl    $1024 / 8, %ecx
        xorl    %eax, %eax
        rep stosq
        .endm

/* EDX:EAX = requested features. */
        .macro  REQUEST mask:req
        movl    $\mask, %eax
        xorl    %edx, %edx
        .endm

xsave_round_trips:
        NEEDS   1, ecx, 26, 9f
        REQUEST 3
        TRY     xsave AREA
        FAULTS  "XSAVE without CR4.OSXSAVE is #UD", UD, 0
        SET_CR  cr4, CR4_OSXSAVE
        xorl    %ecx, %ecx
        REQUEST 3
        xsetbv
        movl    $0xd, %eax
        xorl    %ecx, %ecx
        cpuid
        EQ      "CPUID.0DH: x87 and SSE state take 576 bytes", %rbx, $576
        CLEAR_AREA AREA
        movl    $0x12345678, %eax
        movd    %eax, %xmm3
        fninit
        fld1
        REQUEST 3
        xsave   AREA
        EQ      "XSAVE: XSTATE_BV", AREA+512, $3
        EQ      "XSAVE leaves XCOMP_BV alone", AREA+520, $0
        movl    AREA + 160 + 48, %eax
        EQ      "XSAVE: XMM3", %rax, $0x12345678
        pxor    %xmm3, %xmm3
        fninit
        REQUEST 2
        xrstor  AREA
        movd    %xmm3, %eax
        EQ      "XRSTOR of SSE state loads XMM3", %rax, $0x12345678
        fnstsw  %ax
        andl    $0x3800, %eax
        EQ      "and leaves x87 state alone", %rax, $0
        REQUEST 1
        xrstor  AREA
        fnstsw  %ax
        andl    $0x3800, %eax
        EQ      "XRSTOR of x87 state loads TOP", %rax, $0x3800
        movq    $1, AREA + 512
        REQUEST 3
        xrstor  AREA
        movd    %xmm3, %eax
        EQ      "XRSTOR initialises a component whose bit in XSTATE_BV is clear", %rax, $0
        TRY_BEGIN
        REQUEST 3
        AT
        xsave   AREA + 16
        TRY_END
        FAULTS  "XSAVE at an address that is no multiple of 64 raises #GP(0)", GP, 0
        movq    $4, AREA + 512
        TRY_BEGIN
        REQUEST 3
        AT
        xrstor  AREA
        TRY_END
        FAULTS  "XRSTOR with a bit of XSTATE_BV that XCR0 lacks raises #GP(0)", GP, 0
        movq    $3, AREA + 512
        movq    $1, AREA + 528
        TRY_BEGIN
        REQUEST 3
        AT
        xrstor  AREA
        TRY_END
        FAULTS  "XRSTOR with a non-zero reserved byte in the header raises #GP(0)", GP, 0

        movl    $0xd, %eax
        movl    $1, %ecx
        cpuid
        testl   $1, %eax
        jz      9f
        CLEAR_AREA AREA2
        fninit
        movl    $0x5555, %eax
        movd    %eax, %xmm1
        REQUEST 3
        xsaveopt AREA2
        movq    AREA2 + 512, %rax
        andl    $2, %eax
        EQ      "XSAVEOPT: SSE state is in use", %rax, $2
        movl    AREA2 + 160 + 16, %eax
        EQ      "XSAVEOPT: XMM1", %rax, $0x5555

        movl    $0xd, %eax
        movl    $1, %ecx
        cpuid
        testl   $2, %eax
        jz      8f
        CLEAR_AREA AREA3
        REQUEST 3
        xsavec  AREA3
        movq    AREA3 + 512, %rax
        andl    $2, %eax
        EQ      "XSAVEC: SSE state is in use", %rax, $2
        movabsq $(1 << 63) + 3, %rax
        EQ      "XSAVEC: XCOMP_BV has bit 63 and the requested components", AREA3+520, %rax
        pxor    %xmm1, %xmm1
        REQUEST 3
        xrstor  AREA3
        movd    %xmm1, %eax
        EQ      "XRSTOR of the compacted form loads XMM1", %rax, $0x5555
        movl    $0xd, %eax
        movl    $1, %ecx
        cpuid
        testl   $8, %eax
        jz      8f
        CLEAR_AREA AREA3
        movl    $0x7777, %eax
        movd    %eax, %xmm2
        REQUEST 3
        xsaves  AREA3
        movabsq $(1 << 63) + 3, %rax
        EQ      "XSAVES writes the compacted form", AREA3+520, %rax
        pxor    %xmm2, %xmm2
        REQUEST 3
        xrstors AREA3
        movd    %xmm2, %eax
        EQ      "XRSTORS loads what XSAVES stored", %rax, $0x7777
        movq    $0, AREA3 + 520
        TRY_BEGIN
        REQUEST 3
        AT
        xrstors AREA3
        TRY_END
        FAULTS  "XRSTORS of the standard form raises #GP(0)", GP, 0
        movq    $USER_ALIAS + AREA3, %rdi
        RING3_BEGIN
        REQUEST 3
        AT
        xsaves  (%rdi)
        RING3_END
        FAULTS  "XSAVES at CPL 3 raises #GP(0)", GP, 0
        jmp     7f
8:      SKIPPED "XSAVES writes the compacted form", "no XSAVES"
        SKIPPED "XRSTORS loads what XSAVES stored", "no XSAVES"
        SKIPPED "XRSTORS of the standard form raises #GP(0)", "no XSAVES"
        SKIPPED "XSAVES at CPL 3 raises #GP(0)", "no XSAVES"
        testl   $2, %eax
        jnz     7f
        SKIPPED "XSAVEC: SSE state is in use", "no XSAVEC"
        SKIPPED "XSAVEC: XCOMP_BV has bit 63 and the requested components", "no XSAVEC"
        SKIPPED "XRSTOR of the compacted form loads XMM1", "no XSAVEC"
7:      CLEAR_CR cr4, CR4_OSXSAVE
9:      ret
