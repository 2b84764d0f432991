/* Runs 16-bit code at `target` with these flags until its first exception or interrupt. */
        .macro  V86_BEGIN target:req, flags=0
        TRY_BEGIN
        movl    $\target, try_start
        pushl   $0x400                          /* GS */
        pushl   $0x300                          /* FS */
        pushl   $0x200                          /* DS */
        pushl   $0x100                          /* ES */
        pushl   $0                              /* SS */
        pushl   $0x2f00
        pushl   $(FLAG_VM|2|\flags)
        pushl   $0
        pushl   $\target
        iretl
        TRY_END
        .endm
