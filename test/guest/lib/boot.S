/*
 * Entry: multiboot 1, 32-bit protected mode without paging. Runs the test's `main32` in that mode, then its
 * `main64` in 64-bit mode; a test defines one or both. Then ends the machine through isa-debug-exit.
 */
#include "arch.h"

        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0, -0x1badb002

        .text
        .code32
        .globl  entry
entry:
        cli
        cld
        movl    $stack_top, %esp
        lgdtl   gdt_pointer
        ljmpl   $KERNEL_CS32, $1f
1:      movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %eax, %ss
        pushl   $2
        popfl
        /* The code for 16-bit modes goes to its place. */
        movl    $low_source, %esi
        movl    $low_start, %edi
        movl    $low_size, %ecx
        rep movsb
        call    mask_pic
        call    init_exceptions32
        .weak   main32
        movl    $main32, %eax
        testl   %eax, %eax
        jz      1f
        call    *%eax
1:      .weak   main64
        movl    $main64, %eax
        testl   %eax, %eax
        jz      finish
        jmp     enter_long_mode

        /* Ends the machine with the status of a complete run: (10h * 2) + 1. */
        .globl  finish
finish: movl    $0x10, %eax
        movl    $DEBUG_EXIT, %edx
        outl    %eax, %dx
1:      hlt
        jmp     1b

/* No interrupt line of the 8259 pair is open unless a test opens it. */
mask_pic:
        movb    $0xff, %al
        outb    %al, $0x21
        outb    %al, $0xa1
        ret

        /* From 32-bit protected mode without paging to main64. Clobbers all. */
enter_long_mode:
        call    build_page_tables
        movl    boot_cr4, %eax
        orl     $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
        movl    %eax, %cr4
        movl    boot_cr3, %eax
        movl    %eax, %cr3
        movl    $IA32_EFER, %ecx
        movl    $(EFER_LME | EFER_SCE), %eax
        xorl    %edx, %edx
        wrmsr
        movl    $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
        movl    %eax, %cr0
        ljmpl   $KERNEL_CS64, $long_mode

build_page_tables:
        movl    $pml4, %edi
        xorl    %eax, %eax
        movl    $((page_tables_end - pml4) / 4), %ecx
        rep stosl
        movl    $(pdpt + PTE_P + PTE_W + PTE_U), pml4
        movl    $(pd_supervisor + PTE_P + PTE_W), pdpt
        movl    $(pd_user + PTE_P + PTE_W + PTE_U), pdpt + 8
        movl    $(pd_scratch + PTE_P + PTE_W + PTE_U), pdpt + 16
        movl    $(pd_devices + PTE_P + PTE_W), pdpt + 24
        movl    $(scratch_pt + PTE_P + PTE_W + PTE_U), pd_scratch
        xorl    %ecx, %ecx
1:      movl    %ecx, %eax
        shll    $21, %eax
        orl     $(PTE_PS + PTE_P + PTE_W), %eax
        movl    %eax, pd_supervisor(, %ecx, 8)
        orl     $PTE_U, %eax
        movl    %eax, pd_user(, %ecx, 8)
        andl    $~PTE_U, %eax
        orl     $0xc0000000, %eax
        movl    %eax, pd_devices(, %ecx, 8)
        incl    %ecx
        cmpl    $512, %ecx
        jb      1b
        ret

        .code64
long_mode:
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $stack_top, %esp
        call    init_exceptions64
        call    main64
        jmp     finish64
        .globl  finish64
finish64:
        movl    $0x10, %eax
        movl    $DEBUG_EXIT, %edx
        outl    %eax, %dx
1:      hlt
        jmp     1b

        .data
        .balign 16
/* What a test's main32 may change before 64-bit mode is entered: more bits of CR4, another top of the tables. */
        .globl  boot_cr4, boot_cr3
boot_cr4: .long 0
boot_cr3: .long pml4
        .balign 16
        .globl  gdt, gdt_pointer
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* KERNEL_CS32 */
        .quad   0x00af9b000000ffff      /* KERNEL_CS64 */
        .quad   0x00cf93000000ffff      /* KERNEL_DS */
        .quad   0x00cffb000000ffff      /* USER_CS32 */
        .quad   0x00cff3000000ffff      /* USER_DS */
        .quad   0x00affb000000ffff      /* USER_CS64 */
        .quad   0x00cff3000000ffff      /* USER_DS2 */
        .quad   0x00009b000000ffff      /* KERNEL_CS16 */
        .quad   0x000093000000ffff      /* KERNEL_DS16 */
        .fill   (GDT_END - 0x50) / 8, 8, 0
gdt_pointer:
        .word   . - gdt - 1
        .quad   gdt

        .bss
        .balign 4096
        .globl  pml4, pdpt, pd_supervisor, pd_user, pd_scratch, pd_devices, scratch_pt
pml4:   .skip   4096
pdpt:   .skip   4096
pd_supervisor: .skip 4096
pd_user: .skip  4096
pd_scratch: .skip 4096
pd_devices: .skip 4096
scratch_pt: .skip 4096
page_tables_end:
        .globl  stack_top, user_stack_top, frame_page, free_pages
        .skip   8192
stack_top:
        .skip   4096
user_stack_top:
        /* Memory for a test to map and write. */
        .balign 4096
free_pages: .skip 16 * 4096

        .section .note.GNU-stack, "", @progbits
