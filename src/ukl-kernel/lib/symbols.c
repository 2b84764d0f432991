/* The image's symbol table (include/image.h), which the builder fills in. */
#include "image.h"
#include "lib.h"
#include "process.h"

/* In .data: it is part of the file that the builder writes to. */
struct image_info image_info = { .magic = IMAGE_INFO_MAGIC };

const char *symbol_at(u64 address, u64 *offset)
{
	const struct image_symbols *table = (const struct image_symbols *)image_info.symbols;
	if (!table || memcmp(table->magic, IMAGE_SYMBOLS_MAGIC, sizeof(table->magic)))
		return NULL;
	/* In user space the table knows the program of process 1 and no other; at the bottom are the setup sectors. */
	bool known = address < USER_TOP ? address >= USER_BOTTOM && !LINKED_APPLICATION && current_process()->pid == 1
					: address >= (u64)load_start && address < (u64)bss_end;
	u32 after = 0;		/* the first symbol behind it: they are sorted */
	while (after < table->count && table->symbols[after].address <= address)
		after++;
	const struct image_symbol *symbol = &table->symbols[after - 1];
	if (!known || !after || (symbol->size && address - symbol->address >= symbol->size))
		return NULL;
	*offset = address - symbol->address;
	return (const char *)&table->symbols[table->count] + (symbol->name & 0xffffff);
}
