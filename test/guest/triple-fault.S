/* A fault while #DF is delivered shuts the processor down, which the platform answers with a reset (6.15). */
#include "lib/test64.h"

        .text
        .code64
        .globl  main64
main64: EQ      "the guest runs up to the fault", $1, $1
        movw    $0, idt64_pointer
        lidt    idt64_pointer
        ud2
        ret
