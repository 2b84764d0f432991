/* Macros of tests in 64-bit mode. A test is the function main64 of one file. */
#define WORD_PUSH pushq
#define WORD_MOVE movq
#define STACK_POINTER %rsp
#define CHECK check64
#define SKIP skip64
#include "check.h"

/* CPL 3 in 64-bit mode, in the alias of this code whose pages have U/S = 1; other registers are kept. */
        .macro  RING3_BEGIN flags=2
        TRY_BEGIN
        movq    $USER_ALIAS + 7701f, try_start
        pushq   $USER_DS
        pushq   $USER_ALIAS + user_stack_top
        pushq   $\flags
        pushq   $USER_CS64
        pushq   $USER_ALIAS + 7703f
        iretq
7703:
        .endm

        .macro  SET_CR register:req, bits:req
        movq    %\register, %rax
        orq     $\bits, %rax
        movq    %rax, %\register
        .endm

        .macro  CLEAR_CR register:req, bits:req
        movq    %\register, %rax
        andq    $~(\bits), %rax
        movq    %rax, %\register
        .endm

/* EDX:EAX to an MSR. */
        .macro  WRITE_MSR index:req, low:req, high=$0
        movl    $\index, %ecx
        movl    \low, %eax
        movl    \high, %edx
        wrmsr
        .endm

/* An MSR to RAX. */
        .macro  READ_MSR index:req
        movl    $\index, %ecx
        rdmsr
        shlq    $32, %rdx
        orq     %rdx, %rax
        .endm

/* Jumps to `target` unless CPUID reports the feature. Clobbers RAX, RBX, RCX, RDX. */
        .macro  NEEDS leaf:req, register:req, bit:req, target:req
        movl    $\leaf, %eax
        xorl    %ecx, %ecx
        cpuid
        btl     $\bit, %\register
        jnc     \target
        .endm

/* A gate: handler the vector's stub, IST index, DPL. Clobbers RAX, RDI, RDX, R8. */
        .macro  GATE vector:req, ist=0, dpl=0, type=14, selector=KERNEL_CS64
        movl    $\vector, %edi
        movl    $\selector, %edx
        movl    $(0x8000|(\dpl<<13)|(\type<<8)|\ist), %r8d
        call    set_gate64
        .endm

/* A descriptor of the GDT. */
        .macro  DESCRIPTOR selector:req, base:req, limit:req, attributes:req
        movabsq $(((\limit)&0xffff)|(((\base)&0xffffff)<<16)|(((\attributes)|(((\limit)>>8)&0xf00))<<40)|(((\base)>>24&0xff)<<56)), %rax
        movq    %rax, gdt+\selector
        .endm
