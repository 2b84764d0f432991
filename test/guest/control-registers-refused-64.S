/*
 * What MOV to CR0 and CR4 refuse: reserved bits and combinations, and what would take the paging from under 64-bit mode
 * (SDM vol. 3A 4.1.1, 2.5; vol. 2B, MOV to control registers).
 */
#include "lib/test64.h"
#include "lib/control-registers.h"

        .text
        .code64
        .globl  main64
main64:
        TRY_CR  cr0, 0, CR0_PE
        FAULTS  "CR0.PG without CR0.PE raises #GP(0)", GP, 0
        TRY_CR  cr0, 0, CR0_PG
        FAULTS  "clearing CR0.PG in 64-bit mode raises #GP(0)", GP, 0
        TRY_CR  cr4, 0, CR4_PAE
        FAULTS  "clearing CR4.PAE in IA-32e mode raises #GP(0)", GP, 0
        TRY_CR  cr4, CR4_LA57
        FAULTS  "changing CR4.LA57 in IA-32e mode raises #GP(0)", GP, 0
        TRY_CR  cr4, 1<<15
        FAULTS  "a reserved bit of CR4 (15) raises #GP(0)", GP, 0
        TRY_CR  cr4, 1<<31
        FAULTS  "a reserved bit of CR4 (31) raises #GP(0)", GP, 0
        TRY_CR  cr4, 1<<32
        FAULTS  "MOV to CR4 with bits 32-63 set raises #GP(0)", GP, 0
        EQ      "and leaves CR4 as it was", %rcx, %rbx
        TRY_CR  cr3, 1<<62
        FAULTS  "MOV to CR3 with a bit above MAXPHYADDR set raises #GP(0)", GP, 0
        ret
