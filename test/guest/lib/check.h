/*
 * What both word sizes share of the macros that state expectations. WORD_PUSH, WORD_MOVE, CHECK and SKIP are
 * the word size's; see test64.h.
 *
 *     EQ "name", got, want            two operands are equal (neither relative to the stack pointer)
 *     FAULTS "name", vector, error    the last TRY ended in this event, at its marked instruction
 *     FAULTS "name", vector, error, n     ... with the saved RIP n bytes behind it
 *     RUNS "name"                     the last TRY ended in no event
 *     AT                              marks the next instruction of a TRY_BEGIN ... TRY_END block
 *     SKIPPED "name", "reason"        reports a check that this processor cannot make
 *     SKIP_ALL "reason"               reports so for all checks of this guest that are not reported
 */
#ifndef CHECK_H
#define CHECK_H
#include "arch.h"

        .macro  NAME_OF name:req
        .pushsection .names, "a"
7700:   .asciz  "\name"
        .popsection
        .endm

        .macro  EQ name:req, got:req, want:req
        NAME_OF "\name"
        WORD_PUSH \want
        WORD_PUSH \got
        WORD_PUSH $7700b
        call    CHECK
        .endm

        .macro  FAULTS name:req, vector:req, error:req, offset=0
        EQ      "\name", event + EV_CODE, $EVENT(\vector, \error, \offset)
        .endm

        .macro  RUNS name:req
        EQ      "\name", event + EV_CODE, $NO_EVENT
        .endm

        .macro  SKIPPED name:req, reason:req
        NAME_OF "\name"
        .pushsection .rodata
7704:   .asciz  "\reason"
        .popsection
        WORD_PUSH $7704b
        WORD_PUSH $7700b
        call    SKIP
        .endm

        .macro  SKIP_ALL reason:req
        .pushsection .rodata
7704:   .asciz  "\reason"
7705:   .asciz  "all"
        .popsection
        WORD_PUSH $7704b
        WORD_PUSH $7705b
        call    SKIP
        .endm

        .macro  TRY_BEGIN
        WORD_MOVE $NO_EVENT, event + EV_CODE
        WORD_MOVE STACK_POINTER, try_rsp
        WORD_MOVE $7702f, try_rip
        WORD_MOVE $7701f, try_start
        .endm

        .macro  AT
7701:
        .endm

        .macro  TRY_END
7701:
7702:   WORD_MOVE $0, try_rip
        .endm

        .macro  TRY instruction:vararg
        TRY_BEGIN
        AT
        \instruction
        TRY_END
        .endm

/* Ends code at CPL 3 that the word size's RING3_BEGIN began. */
        .macro  RING3_END
7701:   int     $LEAVE
7702:   WORD_MOVE $0, try_rip
        .endm

/* The last RING3 block came to its end. */
        .macro  RUNS3 name:req
        EQ      "\name", event + EV_VECTOR, $LEAVE
        .endm

        .macro  TRY3 instruction:vararg
        RING3_BEGIN
        AT
        \instruction
        int     $LEAVE
        RING3_END
        .endm

#endif
