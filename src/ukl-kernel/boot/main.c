/* The table of contents: what the kernel does before the first application runs. */
#include "boot.h"
#include "file.h"
#include "image.h"
#include "mm.h"
#include "network.h"
#include "process.h"
#include "virtio.h"

static const char *const mode_names[] = { "ring3", "kml", "zpoline", "ukl", "ukl-byp", "shortcut" };

static char command_line[512];

NORETURN void kernel_main(const struct boot_params *boot)
{
	serial_init();
	processor_init();		/* arch: segments, exceptions, system calls */
	pages_init(boot);		/* mm: page frames, the direct map */
	apic_init();			/* arch: interrupts, the timer */
	time_init();
	/* The builder's comes first, so that what is given at boot can override it. */
	snprintf(command_line, sizeof(command_line), "%s %s", image_info.command_line,
		 boot->command_line ? (char *)direct(boot->command_line) : "");
	printk("ukl-kernel: %s%s%s%s%s%s\n", mode_names[LINK_MODE], KPTI ? ", kpti" : "", PCID ? ", pcid" : "",
	       !STACK_SWITCH && LINK_MODE == LINK_UKL ? ", no stack switch" : "",
	       !FAULT_STACK_IST ? ", faults on the current stack" : "", RETURN_RET ? ", return by ret" : "");

	scheduler_init();		/* process: this becomes the idle thread */
	filesystem_init((const void *)image_info.initramfs, image_info.initramfs_size);
	if (boot->ramdisk_image)
		archive_unpack(direct(boot->ramdisk_image), boot->ramdisk_size);
	if (CONFIG_PCI)
		virtio_init();		/* drivers: devices on the PCI bus */
	disk_nodes();
	if (CONFIG_NET)
		network_init(command_line);
	processors_start(boot);		/* smp: the others, if the kernel is made for them */
	process_start_first(command_line);
	idle_loop();
}
