/*
 * The real-mode part of the image: the setup header of the Linux boot protocol (Documentation/arch/x86/
 * boot.rst, version 2.12) and the code that a 16-bit boot loader jumps to: it asks the BIOS for the memory map,
 * enters protected mode and jumps to the 32-bit entry point. A 32- or 64-bit boot loader reads the header and
 * never runs this.
 */
#define SETUP_SECTORS   1		/* after the first: the header and the code below fit */
#define CODE32_START    0x100000
#define LOADED_HIGH     0x01            /* loadflags: the protected-mode code is at 1 MiB */
#define BOOT_PARAMS     0x1000          /* from the start of these sectors */
#define BP_E820_ENTRIES 0x1e8           /* offsets in boot_params (zero-page.rst) */
#define BP_E820_TABLE   0x2d0
#define SMAP            0x534d4150
#define XLF_KERNEL_64   0x01            /* xloadflags: 64-bit entry point at +0x200 */

	.section .setup, "ax"
	.code16

	.globl  setup_start
setup_start:
	.org    0x1f1
	.byte   SETUP_SECTORS           /* setup_sects: 512-byte sectors after the first one */
	.word   1                       /* root_flags */
	.long   syssize_paragraphs      /* syssize: protected-mode code in 16-byte units */
	.word   0, 0xffff, 0            /* ram_size, obsolete; vid_mode: "normal"; root_dev */
	.word   0xaa55                  /* boot_flag */
	.org    0x200
	jmp     start_of_setup          /* a short jump: its second byte is the header's length */
	.org    0x202
	.ascii  "HdrS"                  /* header */
	.word   0x020c                  /* version 2.12 */
	.long   0                       /* realmode_swtch */
	.word   0                       /* start_sys_seg, obsolete */
	.word   kernel_version - setup_start - 0x200
	.byte   0, LOADED_HIGH          /* type_of_loader, which the loader writes; loadflags */
	.word   0                       /* setup_move_size */
	.long   CODE32_START            /* code32_start */
	.long   0, 0, 0                 /* ramdisk_image, ramdisk_size, bootsect_kludge */
	.word   0                       /* heap_end_ptr */
	.byte   0, 0                    /* ext_loader_ver, ext_loader_type */
	.long   0                       /* cmd_line_ptr */
	.long   0x3fffffff              /* initrd_addr_max: the GiB that entry.S maps */
	.long   0x1000                  /* kernel_alignment */
	.byte   0, 12                   /* relocatable_kernel: no, it is linked for 1 MiB; min_alignment: 2^12 */
	.word   XLF_KERNEL_64           /* xloadflags */
	.long   255                     /* cmdline_size */
	.long   0, 0, 0                 /* hardware_subarch: PC; hardware_subarch_data */
	.long   0, 0                    /* payload_offset: not compressed; payload_length */
	.quad   0                       /* setup_data */
	.quad   CODE32_START            /* pref_address */
	.long   init_size_bytes         /* init_size: the image and its .bss */
	.long   0                       /* handover_offset: no EFI entry */
header_end:

/* CS is the load segment plus 0x20; SS:SP is the loader's stack. */
start_of_setup:
	cli
	cld
	movw    %cs, %ax
	subw    $0x20, %ax
	movw    %ax, %ds                /* DS: these sectors */
	addw    $(BOOT_PARAMS / 16), %ax
	movw    %ax, %es                /* ES: boot_params, in the memory after them that is the kernel's */
	movzwl  %ax, %ebp
	shll    $4, %ebp                /* EBP: its address */
	xorw    %di, %di
	xorl    %eax, %eax
	movw    $1024, %cx
	rep stosl
	movw    $0x1f1, %si             /* the header, as the loader filled it in */
	movw    %si, %di
	movw    $(header_end - setup_start - 0x1f1), %cx
	rep movsb

	movw    $BP_E820_TABLE, %di     /* INT 15h, EAX = E820h: one range of memory a call (ACPI 6.5, 15.1) */
	xorl    %ebx, %ebx
1:	movl    $0xe820, %eax
	movl    $20, %ecx
	movl    $SMAP, %edx
	int     $0x15
	jc      2f                      /* a BIOS may tell the end by CF, or by EBX with the last range */
	addw    $20, %di
	incb    %es:BP_E820_ENTRIES
	js      2f                      /* 128 ranges: the table is full */
	testl   %ebx, %ebx
	jnz     1b
2:	cli

	inb     $0x92, %al              /* A20: System Control Port A bit 1; bit 0 would reset. */
	orb     $2, %al
	andb    $0xfe, %al
	outb    %al, $0x92

	movl    %ebp, %esi
	subl    $BOOT_PARAMS, %ebp
	leal    (gdt - setup_start)(%ebp), %eax
	movl    %eax, gdt_pointer - setup_start + 2
	lgdtl   gdt_pointer - setup_start
	leal    (enter_protected - setup_start)(%ebp), %eax
	pushl   $0x10
	pushl   %eax
	movl    %cr0, %eax
	orb     $1, %al                 /* PE */
	movl    %eax, %cr0
	lretl

/* The 32-bit boot protocol's state: flat segments, ESI = boot_params, EBP, EDI and EBX zero. */
	.code32
enter_protected:
	movl    $0x18, %eax
	.irp    segment, ds, es, fs, gs, ss
	movl    %eax, %\segment
	.endr
	xorl    %ebp, %ebp
	xorl    %edi, %edi
	xorl    %ebx, %ebx
	movl    $CODE32_START, %eax
	jmp     *%eax

	.balign 8
gdt:                                    /* the selectors the boot protocol fixes: 0x10 code, 0x18 data */
	.quad   0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word   . - gdt - 1
	.long   0
kernel_version:
	.asciz  "ukl-kernel"
	.org    (SETUP_SECTORS + 1) * 512

	.section .note.GNU-stack, "", @progbits
