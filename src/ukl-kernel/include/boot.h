/* What the boot loader tells: struct boot_params of the Linux boot protocol (zero-page.rst, boot.rst). */
#ifndef BOOT_H
#define BOOT_H

#include "types.h"

struct e820_entry { u64 address, size; u32 type; } __attribute__((packed));
#define E820_RAM 1

/* Addresses are physical, below 4 GiB, where the direct map covers them; 0: none. */
struct boot_params {
	u8 before_acpi_rsdp[0x70];
	u64 acpi_rsdp;
	u8 before_e820_count[0x1e8 - 0x78], e820_count;
	u8 before_ramdisk[0x218 - 0x1e9];
	u32 ramdisk_image, ramdisk_size;
	u8 before_command_line[0x228 - 0x220];
	u32 command_line;
	u8 before_e820[0x2d0 - 0x22c];
	struct e820_entry e820[128];
} __attribute__((packed));

#endif
