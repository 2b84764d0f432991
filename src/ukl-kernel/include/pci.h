/*
 * PCI: finding functions, their registers, their interrupts (PCI Local Bus 3.0; PCI Express 4.0 chapter 7). Addresses
 * are those that firmware gave. Everything here is for the time before the first process.
 */
#ifndef PCI_H
#define PCI_H

#include "types.h"

/* Where a function is, and what it is. */
struct pci_function { u8 bus, device, function; u16 vendor_id, device_id; };

/* Offsets in the type 0 header (6.1), and what is there. */
enum {
	PCI_ID = 0x00, PCI_COMMAND = 0x04, PCI_STATUS = 0x06, PCI_HEADER_TYPE = 0x0e, PCI_BAR0 = 0x10,
	PCI_SECONDARY_BUS = 0x19, PCI_CAPABILITIES = 0x34,
	COMMAND_MEMORY = 0x002, COMMAND_BUS_MASTER = 0x004, COMMAND_NO_INTX = 0x400,
	STATUS_CAPABILITIES = 0x10, HEADER_BRIDGE = 1, HEADER_MULTIFUNCTION = 0x80,
	CAPABILITY_VENDOR = 0x09, CAPABILITY_MSIX = 0x11,
};

/* drivers/pci.c. Configuration space; `size` is 1, 2 or 4 bytes, `offset` a multiple of it. */
u32 pci_read(const struct pci_function *function, u32 offset, u32 size);
void pci_write(const struct pci_function *function, u32 offset, u32 size, u32 value);
/* Calls `found` for every function, behind bridges too. */
void pci_scan(void (*found)(const struct pci_function *function));
/* Offset of the next capability with this ID behind the one at `after` (0: the first); 0: there is none. */
u32 pci_capability(const struct pci_function *function, u8 id, u32 after);
/* `size` bytes at `offset` of a memory BAR (0 to 5), not cached; NULL: the BAR has no address. */
volatile void *pci_map(const struct pci_function *function, u32 bar, u64 offset, u64 size);
/* Lets the function answer at its BARs and reach memory. */
void pci_enable(const struct pci_function *function);
/*
 * Message `entry` of the function's MSI-X table (6.8.2) now calls handler(argument), with interrupts off; INTx is off
 * from the first one on. False: it has no such entry, or the processor's vectors are used up.
 */
bool pci_interrupt(const struct pci_function *function, u32 entry, void (*handler)(void *), void *argument);

/* drivers/mmio.c: device registers in the direct map, not cached. NULL: beyond the direct map, or no memory. */
volatile void *mmio_map(paddr_t address, u64 size);

#endif
