/* The processors of the machine, by ACPI 6.5 chapter 5.2: RSDP, XSDT or RSDT, MADT. Nothing else of ACPI is read. */
#include "boot.h"
#include "process.h"

struct rsdp {
	char signature[8];
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt, length;		/* `length` and what follows from revision 2 on */
	u64 xsdt;
} __attribute__((packed));
struct table {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[14];
	u32 rest[3];
} __attribute__((packed));
struct madt {
	struct table header;
	u32 local_apic, flags;
	u8 structures[];		/* each begins with its type and length */
} __attribute__((packed));
struct madt_processor { u8 type, length, uid, apic_id; u32 flags; } __attribute__((packed));

enum {
	RSDP_FIRST_PART = 20, PROCESSOR = 0, PROCESSOR_ENABLED = 1, BDA_EBDA_SEGMENT = 0x40e, EBDA_SEARCHED = 1024,
	BIOS_START = 0xe0000, BIOS_END = 0x100000, TABLE_MAX = 1 << 20,
};
#define MAPPED (4UL << 30)		/* the direct map has at least these: direct_map_extend() */

static bool sums_to_zero(const void *at, u64 size)
{
	u8 sum = 0;
	for (const u8 *byte = at; size > 0; size--)
		sum += *byte++;
	return sum == 0;
}

/* A table of that name (any, if NULL) that lies where it can be read and is whole. */
static const struct table *table_at(u64 address, const char *signature)
{
	if (address == 0 || address > MAPPED - TABLE_MAX)
		return NULL;
	const struct table *table = direct(address);
	if (table->length < sizeof *table || table->length > TABLE_MAX || !sums_to_zero(table, table->length))
		return NULL;
	return !signature || memcmp(table->signature, signature, 4) == 0 ? table : NULL;
}

static const struct rsdp *rsdp_at(u64 address)
{
	const struct rsdp *rsdp = direct(address);
	bool valid = address <= MAPPED - PAGE_SIZE && memcmp(rsdp->signature, "RSD PTR ", 8) == 0 &&
		     sums_to_zero(rsdp, RSDP_FIRST_PART);
	return valid ? rsdp : NULL;
}

/* On 16-byte boundaries (5.2.5.1). */
static const struct rsdp *rsdp_search(u64 start, u64 end)
{
	const struct rsdp *rsdp = NULL;
	for (u64 at = start; at < end && !rsdp; at += 16)
		rsdp = rsdp_at(at);
	return rsdp;
}

static const struct rsdp *rsdp_find(const struct boot_params *boot)
{
	const struct rsdp *rsdp = boot->acpi_rsdp ? rsdp_at(boot->acpi_rsdp) : NULL;
	u64 ebda = (u64) * (const u16 *)direct(BDA_EBDA_SEGMENT) << 4;
	if (!rsdp && ebda != 0)
		rsdp = rsdp_search(ebda, ebda + EBDA_SEARCHED);
	return rsdp ?: rsdp_search(BIOS_START, BIOS_END);
}

/* Through the root table, whose entries are addresses of 8 bytes (XSDT) or 4 (RSDT). */
static const struct madt *madt_find(const struct boot_params *boot)
{
	const struct rsdp *rsdp = rsdp_find(boot);
	if (!rsdp)
		return NULL;
	const struct table *root = rsdp->revision >= 2 ? table_at(rsdp->xsdt, "XSDT") : NULL, *madt = NULL;
	u32 width = root ? 8 : 4;
	if (!root)
		root = table_at(rsdp->rsdt, "RSDT");
	for (u32 at = sizeof *root; root && !madt && at + width <= root->length; at += width) {
		u64 address = 0;
		memcpy(&address, (const u8 *)root + at, width);
		madt = table_at(address, "APIC");
	}
	return (const struct madt *)madt;
}

/* Their local APICs' numbers, in the order of the table. */
u32 processors_find(const struct boot_params *boot, u8 *apic_ids, u32 max)
{
	const struct madt *madt = madt_find(boot);
	u32 found = 0;
	if (!madt)
		return 0;
	for (u32 at = sizeof *madt; at + 2 <= madt->header.length;) {
		const struct madt_processor *entry = (const void *)((const u8 *)madt + at);
		if (entry->length < 2 || at + entry->length > madt->header.length)
			break;
		if (entry->type == PROCESSOR && entry->length >= sizeof *entry && entry->flags & PROCESSOR_ENABLED &&
		    found < max)
			apic_ids[found++] = entry->apic_id;
		at += entry->length;
	}
	return found;
}
