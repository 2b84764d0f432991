/* The image's symbol table (include/image.h), which the builder fills in. */
#include "image.h"
#include "lib.h"
#include "process.h"

/* In .data: it is part of the file that the builder writes to. */
struct image_info image_info = { .magic = IMAGE_INFO_MAGIC };

/* The symbol that covers `address`, by bisection; NULL if none does. */
static const struct image_symbol *find(const struct image_symbols *table, u64 address)
{
	u32 low = 0, high = table->count;
	while (low < high) {
		u32 middle = (low + high) / 2;
		if (table->symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	const struct image_symbol *symbol = &table->symbols[low - 1];
	if (symbol->size && address - symbol->address >= symbol->size)
		return NULL;
	return symbol;
}

const char *symbol_at(u64 address, u64 *offset)
{
	const struct image_symbols *table = (const struct image_symbols *)image_info.symbols;
	if (!table || memcmp(table->magic, IMAGE_SYMBOLS_MAGIC, sizeof(table->magic)))
		return NULL;
	/* In user space the table knows the program of process 1 and no other; at the bottom are the setup sectors. */
	bool known = address < USER_TOP ? address >= USER_BOTTOM && !LINKED_APPLICATION && current_process()->pid == 1
					: address >= (u64)load_start && address < (u64)bss_end;
	if (!known)
		return NULL;
	const struct image_symbol *symbol = find(table, address);
	if (!symbol)
		return NULL;
	*offset = address - symbol->address;
	return (const char *)&table->symbols[table->count] + (symbol->name & 0xffffff);
}
