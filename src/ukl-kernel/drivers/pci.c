/* PCI configuration space by mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2), BARs, capabilities, MSI-X (6.8.2). */
#include "pci.h"
#include "arch.h"
#include "lib.h"

enum {
	CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc,
	BAR_IO = 1, BAR_TYPE = 6, BAR_64 = 4, BARS = 6,
	/* The MSI-X capability (6.8.2.3 to 6.8.2.5) and an entry of its table. */
	MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_SIZE = 0x7ff, MSIX_FUNCTION_MASK = 0x4000, MSIX_ENABLE = 0x8000,
	MSIX_BAR = 7, ENTRY_WORDS = 4,
};

static void select(const struct pci_function *f, u32 offset)
{
	outl(CONFIG_ADDRESS, 1U << 31 | (u32)f->bus << 16 | (u32)f->device << 11 | (u32)f->function << 8 | (offset & 0xfc));
}

u32 pci_read(const struct pci_function *f, u32 offset, u32 size)
{
	select(f, offset);
	u16 port = CONFIG_DATA + (offset & 3);
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

void pci_write(const struct pci_function *f, u32 offset, u32 size, u32 value)
{
	select(f, offset);
	u16 port = CONFIG_DATA + (offset & 3);
	if (size == 1)
		outb(port, (u8)value);
	else if (size == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}

/* Firmware gave bridges their bus numbers: higher ones below lower ones, so that this ends. */
static void scan_bus(u8 bus, void (*found)(const struct pci_function *))
{
	for (u32 place = 0; place < 32 * 8; place++) {
		struct pci_function f = { .bus = bus, .device = place / 8, .function = place % 8 };
		u32 id = pci_read(&f, PCI_ID, 4);
		if (id == ~0U) {
			place |= f.function ? 0 : 7;	/* without function 0 there is no device */
			continue;
		}
		f.vendor_id = (u16)id;
		f.device_id = id >> 16;
		u8 type = pci_read(&f, PCI_HEADER_TYPE, 1), below = pci_read(&f, PCI_SECONDARY_BUS, 1);
		found(&f);
		if ((type & ~HEADER_MULTIFUNCTION) == HEADER_BRIDGE && below > bus)
			scan_bus(below, found);
		if (!f.function && !(type & HEADER_MULTIFUNCTION))
			place |= 7;
	}
}

void pci_scan(void (*found)(const struct pci_function *)) { scan_bus(0, found); }

u32 pci_capability(const struct pci_function *f, u8 id, u32 after)
{
	if (!(pci_read(f, PCI_STATUS, 2) & STATUS_CAPABILITIES))
		return 0;
	u32 at = pci_read(f, after ? after + 1 : PCI_CAPABILITIES, 1) & 0xfc;
	for (u32 left = 48; at && left; left--) {	/* as many as fit: a list that bites its tail ends too */
		if (pci_read(f, at, 1) == id)
			return at;
		at = pci_read(f, at + 1, 1) & 0xfc;
	}
	return 0;
}

volatile void *pci_map(const struct pci_function *f, u32 bar, u64 offset, u64 size)
{
	if (bar >= BARS)
		return NULL;
	u32 low = pci_read(f, PCI_BAR0 + 4 * bar, 4);
	u64 address = low & ~0xfU;
	if ((low & BAR_TYPE) == BAR_64 && bar + 1 < BARS)
		address |= (u64)pci_read(f, PCI_BAR0 + 4 * bar + 4, 4) << 32;
	return low & BAR_IO || !address ? NULL : mmio_map(address + offset, size);
}

void pci_enable(const struct pci_function *f)
{
	pci_write(f, PCI_COMMAND, 2, pci_read(f, PCI_COMMAND, 2) | COMMAND_MEMORY | COMMAND_BUS_MASTER);
}

/* Address and data of a message: SDM vol. 3A 11.11. To this processor, fixed, edge. */
bool pci_interrupt(const struct pci_function *f, u32 entry, void (*handler)(void *), void *argument)
{
	u32 at = pci_capability(f, CAPABILITY_MSIX, 0);
	u32 control = at ? pci_read(f, at + MSIX_CONTROL, 2) : 0;
	if (!at || entry > (control & MSIX_SIZE))
		return false;
	u32 table = pci_read(f, at + MSIX_TABLE, 4), size = ENTRY_WORDS * sizeof(u32);
	volatile u32 *words = pci_map(f, table & MSIX_BAR, (table & ~MSIX_BAR) + (u64)entry * size, size);
	u8 vector = words ? interrupt_allocate(handler, argument) : 0;
	if (!vector)
		return false;
	pci_write(f, at + MSIX_CONTROL, 2, (control & ~MSIX_FUNCTION_MASK) | MSIX_ENABLE);
	pci_write(f, PCI_COMMAND, 2, pci_read(f, PCI_COMMAND, 2) | COMMAND_NO_INTX);
	words[0] = LOCAL_APIC;
	words[1] = 0;
	words[2] = vector;
	words[3] = 0;				/* not masked */
	return true;
}
