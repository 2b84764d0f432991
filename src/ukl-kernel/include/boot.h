/* What the boot loader tells: struct boot_params of the Linux boot protocol (zero-page.rst, boot.rst). */
#ifndef BOOT_H
#define BOOT_H

#include "mm.h"

struct e820_entry { u64 address, size; u32 type; } __attribute__((packed));
#define E820_RAM 1

struct boot_params {
	u8 before_e820_count[0x1e8];
	u8 e820_count;
	u8 before_header[0x1f1 - 0x1e9];
	u8 before_ramdisk[0x218 - 0x1f1];
	u32 ramdisk_image, ramdisk_size;	/* physical address, bytes; 0: none */
	u8 before_command_line[0x228 - 0x220];
	u32 command_line;			/* physical address; 0: none */
	u8 before_e820[0x2d0 - 0x22c];
	struct e820_entry e820[128];
} __attribute__((packed));

/* Both are below 4 GiB; the direct map covers them. */
static inline const char *boot_command_line(const struct boot_params *boot)
{
	return boot->command_line ? direct(boot->command_line) : "";
}
static inline const void *boot_ramdisk(const struct boot_params *boot)
{
	return boot->ramdisk_image ? direct(boot->ramdisk_image) : NULL;
}

#endif
