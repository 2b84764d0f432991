/* The system calls about memory: mmap, munmap, mprotect, mremap, brk, madvise. */
#include "file.h"
#include "page-table.h"
#include "process.h"
#include "syscall.h"

enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum { MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_TYPE = 15, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20, MAP_POPULATE = 0x8000,
       MAP_FIXED_NOREPLACE = 0x100000 };
enum { MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2 };
enum { MADV_DONTNEED = 4, MADV_FREE = 8 };

static struct space *space(void) { return current_process()->space; }

static u32 region_flags(u64 protection)
{
	return (protection & PROT_READ ? REGION_READ : 0) | (protection & PROT_WRITE ? REGION_WRITE : 0) |
	       (protection & PROT_EXEC ? REGION_EXECUTE : 0);
}

static bool bad_range(vaddr_t start, u64 size)
{
	return start % PAGE_SIZE || start + size < start || start + size > USER_TOP;
}

/* Brings all pages of a range now, with the rights that the region has. */
static long populate(vaddr_t start, u64 size)
{
	for (vaddr_t at = start; at < start + size; at += PAGE_SIZE)
		if (!space_fault(space(), at, 0))
			return -ENOMEM;
	return 0;
}

long sys_mmap(vaddr_t address, u64 size, u64 protection, u64 flags, int descriptor, u64 offset)
{
	struct file *file = NULL;
	u64 file_bytes = 0, type = flags & MAP_TYPE;
	if (!size || offset % PAGE_SIZE || (type != MAP_SHARED && type != MAP_PRIVATE))
		return -EINVAL;
	if (size > USER_TOP)
		return -ENOMEM;
	size = ALIGN_UP(size, PAGE_SIZE);
	if (!(flags & MAP_ANONYMOUS)) {
		file = file_get(descriptor);
		if (!file)
			return -EBADF;
		if (!file->operations->read_kernel)
			return -ENODEV;
		/* Pages are copies of the file: nobody would see what is written to a shared one. */
		if (type == MAP_SHARED && protection & PROT_WRITE)
			return -ENODEV;
		file_bytes = file->inode->size > offset ? file->inode->size - offset : 0;
	}
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (bad_range(address, size))
			return -EINVAL;
		if (flags & MAP_FIXED && !(flags & MAP_FIXED_NOREPLACE)) {
			long error = space_unmap(space(), address, size);
			if (error)
				return error;
		}
	} else {
		address = space_find(space(), size);
		if (!address)
			return -ENOMEM;
	}
	bool shared = type == MAP_SHARED && !file;
	long error = space_map(space(), address, size, region_flags(protection) | (shared ? REGION_SHARED : 0), file, offset,
			       file_bytes);
	/* Pages shared over fork have to exist before it. */
	if (!error && (shared || flags & MAP_POPULATE) && protection)
		error = populate(address, size);
	return error ? error : (long)address;
}

long sys_munmap(vaddr_t address, u64 size)
{
	if (!size || bad_range(address, size))
		return -EINVAL;
	size = ALIGN_UP(size, PAGE_SIZE);
	/* A detached thread ends by giving its stack back, but a call at ring 0 returns by it: when it has ended. */
	struct thread *thread = current_thread();
	if (thread->process->ring0 && LINK_MODE != LINK_KML && thread->frame->rsp - address < size) {
		thread->unmap_start = address;
		thread->unmap_size = size;
		return 0;
	}
	return space_unmap(space(), address, size);
}

long sys_mprotect(vaddr_t address, u64 size, u64 protection)
{
	if (bad_range(address, size))
		return -EINVAL;
	return space_protect(space(), address, ALIGN_UP(size, PAGE_SIZE), region_flags(protection));
}

long sys_brk(vaddr_t wanted)
{
	struct space *s = space();
	vaddr_t old_top = ALIGN_UP(s->heap_end, PAGE_SIZE), new_top = ALIGN_UP(wanted, PAGE_SIZE);
	if (wanted < s->heap_start || wanted > USER_TOP)
		return (long)s->heap_end;
	if (new_top > old_top && space_map(s, old_top, new_top - old_top, REGION_READ | REGION_WRITE, NULL, 0, 0))
		return (long)s->heap_end;
	if (new_top < old_top && space_unmap(s, new_top, old_top - new_top))
		return (long)s->heap_end;
	s->heap_end = wanted;
	return (long)wanted;
}

/* Moves the page-table entries of a range; both ranges are mapped, the new one without pages. */
static long pages_move(vaddr_t from, vaddr_t to, u64 size)
{
	for (u64 at = 0; at < size; at += PAGE_SIZE) {
		u64 *old = page_entry(space(), from + at, false);
		if (!old || !(*old & PTE_ADDRESS))
			continue;
		u64 *new = page_entry(space(), to + at, true);
		if (!new)
			return -ENOMEM;
		*new = *old;
		*old = 0;
	}
	tlb_flush(space());
	return 0;
}

long sys_mremap(vaddr_t address, u64 old_size, u64 new_size, u64 flags, vaddr_t new_address)
{
	old_size = ALIGN_UP(old_size, PAGE_SIZE);
	new_size = ALIGN_UP(new_size, PAGE_SIZE);
	struct region *region = space_region(space(), address);
	if (!old_size || !new_size || bad_range(address, old_size) || flags & ~(u64)(MREMAP_MAYMOVE | MREMAP_FIXED))
		return -EINVAL;
	if (!region || region->end < address + old_size)
		return -EFAULT;
	if (flags & MREMAP_FIXED) {
		if (!(flags & MREMAP_MAYMOVE) || bad_range(new_address, new_size) ||
		    (new_address < address + old_size && address < new_address + new_size))
			return -EINVAL;
		long error = space_unmap(space(), new_address, new_size);
		if (error)
			return error;
	} else if (new_size <= old_size) {
		long error = new_size < old_size ? space_unmap(space(), address + new_size, old_size - new_size) : 0;
		return error ? error : (long)address;
	} else {
		/* In place, if what follows is free and all of it is anonymous memory. */
		if (!region->file && !space_map(space(), address + old_size, new_size - old_size, region->flags, NULL, 0, 0))
			return (long)address;
		if (!(flags & MREMAP_MAYMOVE))
			return -ENOMEM;
		new_address = space_find(space(), new_size);
		if (!new_address)
			return -ENOMEM;
	}
	u64 skipped = address - region->start;
	long error = space_map(space(), new_address, new_size, region->flags, region->file, region->offset + skipped,
			       region->file_bytes - MIN(region->file_bytes, skipped));
	if (!error)
		error = pages_move(address, new_address, MIN(old_size, new_size));
	if (!error)
		error = space_unmap(space(), address, old_size);
	return error ? error : (long)new_address;
}

long sys_madvise(vaddr_t address, u64 size, int advice)
{
	if (bad_range(address, size))
		return -EINVAL;
	size = ALIGN_UP(size, PAGE_SIZE);
	for (vaddr_t at = address; at < address + size;) {
		struct region *region = space_region(space(), at);
		if (!region)
			return -ENOMEM;
		vaddr_t end = MIN(region->end, address + size);
		if ((advice == MADV_DONTNEED || advice == MADV_FREE) && !(region->flags & REGION_SHARED))
			pages_unmap(space(), at, end);
		at = end;
	}
	return 0;
}
