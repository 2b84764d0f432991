/*
 * What `ukl-emu build` puts into an image after the kernel: a symbol table and an initial file system.
 * It fills in `image_info`, which it finds by its symbol; the symbol table is found by its magic number.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include "types.h"

#define IMAGE_INFO_MAGIC	"UKLIMAGE"
#define IMAGE_SYMBOLS_MAGIC	"UKLSYMS1"

/* Sorted by address. Little-endian, no padding. */
struct image_symbol {
	u64 address;
	u32 size;	/* bytes; 0 if unknown: up to the next symbol */
	/*
	 * Bits 23-0: offset of a NUL-terminated name in the names. Bits 31-24, the part: 0 kernel code but for entry_,
	 * dispatch_ and exit_ symbols (1, 2, 3), 4 the application's code, 5 its library, 6 stubs of the builder.
	 */
	u32 name;
};

struct image_symbols {
	char magic[8];	/* IMAGE_SYMBOLS_MAGIC */
	u32 count;
	u32 names_size;	/* bytes; the names follow the symbols */
	struct image_symbol symbols[];
};

struct image_info {
	char magic[8];			/* IMAGE_INFO_MAGIC */
	u64 symbols, symbols_size;	/* virtual address in the kernel's mapping, bytes; 0 if there is none */
	u64 initramfs, initramfs_size;	/* a newc cpio archive; also given by the boot protocol's ramdisk */
	char command_line[256];		/* in front of the boot loader's */
};

extern struct image_info image_info;

/* From the linker script, kernel.ld. */
extern char load_start[], kernel_text_end[], bss_end[];
extern char entry_text_start[], entry_text_end[], entry_data_start[], entry_data_end[], entry_bss_start[], entry_bss_end[];
/* The linked application: code (and the builder's stubs), constants, data; empty unless LINKED_APPLICATION. */
extern char application_start[], application_text_end[], application_data_start[];
/* TLS template of the linked application (PT_TLS), for its auxiliary vector; alignment: the symbol's value. */
extern char application_tls_start[], application_tls_end[], application_tls_memory_end[],
	application_tls_alignment[];

#endif
