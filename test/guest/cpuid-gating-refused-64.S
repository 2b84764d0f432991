/* Bits of CR4 whose features CPUID does not report (model qemu64) are reserved (SDM vol. 3A 2.5). */
#include "lib/test64.h"

        .text
        .code64
        .globl  main64
main64:
        .macro  REFUSED name:req, bits:req
        movq    %cr4, %rax
        orq     $\bits, %rax
        TRY     movq %rax, %cr4
        FAULTS  "CR4.\name without its CPUID bit raises #GP(0)", GP, 0
        .endm
        REFUSED SMEP, CR4_SMEP
        REFUSED SMAP, CR4_SMAP
        REFUSED UMIP, CR4_UMIP
        REFUSED FSGSBASE, CR4_FSGSBASE
        REFUSED PCIDE, CR4_PCIDE
        REFUSED OSXSAVE, CR4_OSXSAVE
        REFUSED PKE, CR4_PKE
        ret
