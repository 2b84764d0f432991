/* Programs: static ELF64 files, at fixed addresses or position-independent, and the linked application. */
#include "file.h"
#include "image.h"
#include "process.h"

/* ELF-64 object file format, version 1.5, and the x86-64 psABI. */
struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, program_headers, section_headers;
	u32 flags;
	u16 header_size, program_header_size, program_header_count, rest[3];
};
struct elf_segment {
	u32 type, flags;
	u64 offset, address, physical_address, file_size, memory_size, alignment;
};
enum { ET_EXEC = 2, ET_DYN = 3, EM_X86_64 = 62, ELFCLASS64 = 2, ELFDATA2LSB = 1 };
enum { PT_LOAD = 1, PT_INTERP = 3, PT_TLS = 7, PF_X = 1, PF_W = 2, PF_R = 4 };
enum { SEGMENTS_MAX = 32 };

#define PIE_BASE	0x0000555555554000UL	/* where Linux puts them without randomisation */
#define LINKED_HEAP	0x0000000010000000UL

ssize_t file_read_kernel(struct file *file, void *to, size_t size, u64 offset)
{
	return file->operations->read_kernel ? file->operations->read_kernel(file, to, size, offset) : -EACCES;
}

static long read_headers(struct file *file, struct elf_header *header, struct elf_segment *segments)
{
	if (file_read_kernel(file, header, sizeof *header, 0) != sizeof *header ||
	    memcmp(header->ident, "\177ELF", 4) != 0 || header->ident[4] != ELFCLASS64 ||
	    header->ident[5] != ELFDATA2LSB || header->machine != EM_X86_64 ||
	    (header->type != ET_EXEC && header->type != ET_DYN) || header->program_header_size != sizeof *segments ||
	    header->program_header_count == 0 || header->program_header_count > SEGMENTS_MAX)
		return -ENOEXEC;
	ssize_t size = header->program_header_count * sizeof *segments;
	return file_read_kernel(file, segments, size, header->program_headers) == size ? 0 : -ENOEXEC;
}

/* Pages come from the file when they are touched. */
static long map_segment(struct file *file, struct space *space, const struct elf_segment *segment, u64 base)
{
	u64 address = base + segment->address, before = address % PAGE_SIZE;
	u32 flags = (segment->flags & PF_R ? REGION_READ : 0) | (segment->flags & PF_W ? REGION_WRITE : 0) |
		    (segment->flags & PF_X ? REGION_EXECUTE : 0);
	if (segment->memory_size < segment->file_size || segment->memory_size > USER_TOP || address > USER_TOP ||
	    address + segment->memory_size > USER_TOP || address < PAGE_SIZE ||
	    (segment->address - segment->offset) % PAGE_SIZE != 0)
		return -ENOEXEC;
	return space_map(space, address - before, ALIGN_UP(before + segment->memory_size, PAGE_SIZE), flags, file,
			 segment->offset - before, segment->file_size + before);
}

long elf_load(struct file *file, const char *path, struct space *space, struct elf_program *program)
{
	struct elf_header header = {};
	struct elf_segment segments[SEGMENTS_MAX];
	long result = read_headers(file, &header, segments);
	u64 base = header.type == ET_DYN ? PIE_BASE : 0;
	*program = (struct elf_program){ .entry = base + header.entry, .header_size = sizeof *segments,
		.header_count = header.program_header_count };
	for (int i = 0; result == 0 && i < header.program_header_count; i++) {
		const struct elf_segment *segment = &segments[i];
		if (segment->type == PT_INTERP) {
			printk("ukl-kernel: %s is dynamically linked; link it with -static\n", path);
			return -ENOENT;		/* as where its interpreter is missing */
		}
		if (segment->type != PT_LOAD || segment->memory_size == 0)
			continue;
		result = map_segment(file, space, segment, base);
		if (header.program_headers - segment->offset < segment->file_size)
			program->headers = base + segment->address + header.program_headers - segment->offset;
		program->heap_start = ALIGN_UP(base + segment->address + segment->memory_size, PAGE_SIZE);
	}
	return result == 0 && program->heap_start == 0 ? -ENOEXEC : result;
}

#if LINKED_APPLICATION
extern char application_entry[];
extern char application_tls_alignment[];	/* absolute symbol */

/* The C library finds its thread-local template by PT_TLS; there is no file that it could come from. */
long linked_program(struct elf_program *program)
{
	static struct elf_segment segments[1];
	segments[0] = (struct elf_segment){
		.type = PT_TLS, .flags = PF_R, .address = (u64)application_tls_start,
		.file_size = application_tls_end - application_tls_start,
		.memory_size = application_tls_memory_end - application_tls_start,
		.alignment = (u64)application_tls_alignment,
	};
	*program = (struct elf_program){ .entry = (u64)application_entry, .headers = (u64)segments,
		.header_size = sizeof segments[0], .header_count = segments[0].memory_size != 0, .heap_start = LINKED_HEAP };
	return 0;
}
#endif
