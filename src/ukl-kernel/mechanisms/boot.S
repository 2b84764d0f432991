/*
 * Multiboot 1 entry: 32-bit protected mode, paging off. Maps the first GiB onto itself by 2 MiB pages that both
 * rings may use, enters 64-bit mode, loads the tables, and calls the C part on the ring-0 stack.
 */
#include "selectors.h"

#define CR0_VALUE       0x80010033      /* PG, WP, NE, ET, MP, PE */
#define CR4_VALUE       0x00000220      /* PAE, OSFXSR */
#define IA32_EFER       0xc0000080
#define EFER_LME_SCE    0x00000101
#define PTE_TABLE       0x007           /* present, writable, user */
#define PTE_LARGE       0x087           /* and page size */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00010000      /* the address fields are valid */

        .section .multiboot, "a"
        .balign 4
multiboot_header:
        .long   MULTIBOOT_MAGIC
        .long   MULTIBOOT_FLAGS
        .long   -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
        .long   multiboot_header
        .long   image_start
        .long   image_data_end
        .long   image_end
        .long   start

        .text
        .code32
        .globl  start
start:
        cli
        cld
        movl    $kernel_stack_top, %esp
        movl    $(pdpt + PTE_TABLE), pml4
        movl    $(pd + PTE_TABLE), pdpt
        movl    $PTE_LARGE, %eax
        movl    $pd, %edi
1:      movl    %eax, (%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        cmpl    $(pd + 4096), %edi
        jb      1b
        movl    $CR4_VALUE, %eax
        movl    %eax, %cr4
        movl    $pml4, %eax
        movl    %eax, %cr3
        movl    $IA32_EFER, %ecx
        movl    $EFER_LME_SCE, %eax
        xorl    %edx, %edx
        wrmsr
        movl    $CR0_VALUE, %eax
        movl    %eax, %cr0
        lgdtl   gdt_pointer
        ljmpl   $KERNEL_CS, $start64

        .code64
start64:
        movl    $KERNEL_SS, %eax
        movl    %eax, %ss
        movl    %eax, %ds
        movl    %eax, %es
        xorl    %ebp, %ebp
        call    ring0_main
        ud2

/* Continues at RDI in ring 3, on the other stack, with IOPL 3 so that it reaches the serial port. Never returns. */
        .globl  enter_ring3
        .type   enter_ring3, @function
enter_ring3:
        movl    $(USER_SS), %eax
        pushq   %rax
        leaq    user_stack_top(%rip), %rax
        pushq   %rax
        pushq   $0x3002                 /* RFLAGS: IOPL 3, IF clear */
        pushq   $USER_CS
        pushq   %rdi
        iretq
        .size   enter_ring3, . - enter_ring3

/* Exceptions: none is expected. Each stub pushes its vector; those without an error code push 0 before. */
        .globl  exception_stubs
exception_stubs:
vector = 0
        .rept   32
        .balign 16
        .if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17) && (vector != 21)
        pushq   $0
        .endif
        pushq   $vector
        jmp     exception_common
vector = vector + 1
        .endr
exception_common:
        movq    (%rsp), %rdi            /* vector */
        movq    8(%rsp), %rsi           /* error code */
        movq    16(%rsp), %rdx          /* RIP */
        andq    $-16, %rsp
        call    exception

        .data
        .balign 8
        .globl  gdt
gdt:
        .quad   0
        .quad   0
        .quad   0x00af9b000000ffff      /* KERNEL_CS: 64-bit code, DPL 0 */
        .quad   0x00cf93000000ffff      /* KERNEL_SS */
        .quad   0x00cffb000000ffff      /* 32-bit code, DPL 3: only its place matters, for SYSRET and SYSEXIT */
        .quad   0x00cff3000000ffff      /* USER_SS */
        .quad   0x00affb000000ffff      /* USER_CS: 64-bit code, DPL 3 */
        .quad   0x00cff3000000ffff      /* SYSEXIT's SS */
        .quad   0, 0                    /* TSS_SELECTOR */
        .quad   0, 0, 0, 0, 0, 0        /* three call gates */
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt

        .bss
        .balign 4096
        .globl  pml4
pml4:   .skip   4096
pdpt:   .skip   4096
pd:     .skip   4096
        .skip   4096
        .globl  kernel_stack_top
kernel_stack_top:
        .skip   8192
user_stack_top:

        .section .note.GNU-stack, "", @progbits
