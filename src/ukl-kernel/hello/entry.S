/*
 * The two protected-mode entry points. Both end in the same state, so that the text printed does not depend
 * on how the image was entered: 4-level paging with the first GiB identity mapped by 2 MiB pages, CR0, CR3,
 * CR4, IA32_EFER and GDTR set to the values below.
 */
#define CR0_VALUE       0x80010031      /* PG, WP, NE, ET, PE */
#define CR4_VALUE       0x00000020      /* PAE */
#define IA32_EFER       0xc0000080
#define EFER_LME        0x00000100
#define PTE_TABLE       0x003           /* present, writable */
#define PTE_LARGE       0x083           /* present, writable, page size */
#define CODE64          0x10
#define DATA            0x18

        .section .entry, "ax"

/* 32-bit entry: protected mode, paging off, flat segments, ESI = boot_params (boot.rst, "32-bit Boot"). */
        .code32
        .globl  entry32
entry32:
        cli
        cld
        movl    $stack_top, %esp
        call    build_page_tables
        movl    $CR4_VALUE, %eax
        movl    %eax, %cr4
        movl    $pml4, %eax
        movl    %eax, %cr3
        movl    $IA32_EFER, %ecx
        movl    $EFER_LME, %eax
        xorl    %edx, %edx
        wrmsr
        lgdtl   gdt_pointer
        movl    $CR0_VALUE, %eax        /* sets PG: compatibility mode, until CS is a 64-bit segment */
        movl    %eax, %cr0
        ljmpl   $CODE64, $common64

build_page_tables:
        movl    $pml4, %edi
        xorl    %eax, %eax
        movl    $(3 * 4096 / 4), %ecx
        rep stosl
        movl    $(pdpt + PTE_TABLE), pml4
        movl    $(pd + PTE_TABLE), pdpt
        movl    $PTE_LARGE, %eax
        movl    $pd, %edi
1:      movl    %eax, (%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        cmpl    $(pd + 4096), %edi
        jb      1b
        ret

/* 64-bit entry, 0x200 after the 32-bit one: long mode, identity mapping of at least this image, CPL 0. */
        .org    0x200
        .code64
        .globl  entry64
entry64:
        cli
        cld
        movl    $pml4, %edi
        xorl    %eax, %eax
        movl    $(3 * 4096 / 8), %ecx
        rep stosq
        movq    $(pdpt + PTE_TABLE), pml4
        movq    $(pd + PTE_TABLE), pdpt
        movl    $PTE_LARGE, %eax
        movl    $pd, %edi
1:      movq    %rax, (%rdi)
        addq    $0x200000, %rax
        addl    $8, %edi
        cmpl    $(pd + 4096), %edi
        jb      1b

        movl    $pml4, %eax
        movq    %rax, %cr3
        movl    $CR4_VALUE, %eax
        movq    %rax, %cr4
        movl    $CR0_VALUE, %eax
        movq    %rax, %cr0
        movl    $IA32_EFER, %ecx
        movl    $EFER_LME, %eax         /* LMA is read-only: it stays set while paging is on */
        xorl    %edx, %edx
        wrmsr
        lgdt    gdt_pointer
        movl    $stack_top, %esp
        pushq   $CODE64
        pushq   $common64
        lretq

common64:
        movl    $DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $stack_top, %esp
        xorl    %ebp, %ebp
        call    hello
1:      cli
        hlt
        jmp     1b

        .balign 8
gdt:
        .quad   0
        .quad   0
        .quad   0x00af9b000000ffff      /* 64-bit code, DPL 0, accessed */
        .quad   0x00cf93000000ffff      /* data, DPL 0, accessed */
gdt_pointer:
        .word   . - gdt - 1
        .quad   gdt

        .section .note.GNU-stack, "", @progbits
