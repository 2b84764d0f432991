/*
 * The ways into the kernel and back, each by itself: nothing between the two markers but the mechanism, and
 * handlers that do nothing but return. Where CR3 is written, R8 and R9 hold the values, so that a write is one
 * instruction. Handlers write CR3 where kernels with page-table isolation do: on entry, and on exit.
 *
 * Symbols entry_* and exit_* are what `ukl-emu measure` shows as those phases.
 */
#include "selectors.h"

        .macro  FUNCTION name
        .balign 16
        .globl  \name
        .type   \name, @function
\name:
        .endm
        .macro  END name
        .size   \name, . - \name
        .endm

        .text

/* RDI: name, RSI: CR3 writes. Only RAX and RDX change. The stamp is the last thing taken. */
FUNCTION measure_begin
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, begin_stamp(%rip)
        ret
END measure_begin

FUNCTION measure_end
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        subq    begin_stamp(%rip), %rax
        movq    %rax, elapsed(%rip)
        ret
END measure_end

/* void way_*(const char *name, u64 writes, u64 cr3_on_entry, u64 cr3_on_exit): one round. */
        .macro  WAY name
FUNCTION way_\name
        movq    %rdx, %r8
        movq    %rcx, %r9
        call    measure_begin
        .endm
        .macro  END_WAY name
        call    measure_end
        ret
END way_\name
        .endm

WAY nothing
END_WAY nothing

/* CALL and RET, for comparison; in ring 0 where CR3 is written. */
        .irp    n, 0, 1, 2
WAY call_\n
        .if     \n == 0
        call    exit_call_0
        .else
        call    entry_call_\n
        .endif
END_WAY call_\n
WAY int_\n
        int     $(INTERRUPT_VECTOR + \n)
END_WAY int_\n
WAY gate_\n
        rex.W lcall *gate_\n\()_pointer(%rip)
END_WAY gate_\n
        .endr

/* Which handler these reach, IA32_LSTAR and IA32_SYSENTER_EIP say. */
WAY syscall
        syscall
END_WAY syscall

/* SYSENTER saves nothing: ring 3 says where to return to (SDM vol. 2, SYSEXIT: RDX is RIP, RCX is RSP). */
WAY sysenter
        movq    %rsp, %rcx
        leaq    1f(%rip), %rdx
        sysenter
1:
END_WAY sysenter

/* Handlers: `\return` behind no, one and two CR3 writes. */
        .macro  HANDLERS name, return:vararg
FUNCTION exit_\name\()_0
        \return
END exit_\name\()_0

FUNCTION entry_\name\()_1
        movq    %r8, %cr3
END entry_\name\()_1
        .type   exit_\name\()_1, @function
exit_\name\()_1:
        \return
END exit_\name\()_1

FUNCTION entry_\name\()_2
        movq    %r8, %cr3
END entry_\name\()_2
        .type   exit_\name\()_2, @function
exit_\name\()_2:
        movq    %r9, %cr3
        \return
END exit_\name\()_2
        .endm

HANDLERS call, ret
HANDLERS int, iretq
HANDLERS gate, lretq
HANDLERS syscall, sysretq
HANDLERS sysenter, rex.W sysexit

/* A service for ring 3: WRMSR with its registers. */
FUNCTION service_wrmsr
        wrmsr
        iretq
END service_wrmsr

        .data
        .balign 16
        .irp    n, 0, 1, 2
gate_\n\()_pointer:                     /* the gate's own offset counts, this one does not */
        .quad   0
        .word   GATE_SELECTOR + 16 * \n + 3
        .balign 16
        .endr
        .globl  elapsed
elapsed: .quad  0
begin_stamp: .quad 0

        .section .note.GNU-stack, "", @progbits
