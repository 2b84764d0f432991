/* The system calls about memory: mmap, munmap, mprotect, brk. */
#include "file.h"
#include "process.h"
#include "syscall.h"

enum { MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_TYPE = 15, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20,
       MAP_FIXED_NOREPLACE = 0x100000 };

static struct space *space(void) { return current_process()->space; }

static bool bad_range(vaddr_t start, u64 size)
{
	return start % PAGE_SIZE || start + size < start || start + size > USER_TOP;
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
		/* Pages are copies of the file: nobody would see what is written to a shared one. */
		if (!file->operations->read_kernel || (type == MAP_SHARED && protection & REGION_WRITE))
			return -ENODEV;
		file_bytes = file->inode->size > offset ? file->inode->size - offset : 0;
	}
	long error = 0;
	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		address = space_find(space(), size);
	else if (bad_range(address, size))
		return -EINVAL;
	else if (!(flags & MAP_FIXED_NOREPLACE))
		error = space_unmap(space(), address, size);
	if (!address)
		return -ENOMEM;
	bool shared = type == MAP_SHARED && !file;
	if (!error)
		error = space_map(space(), address, size, (protection & REGION_ACCESS) | (shared ? REGION_SHARED : 0),
				  file, offset, file_bytes);
	/* Pages shared over fork have to exist before it. */
	for (vaddr_t at = address; shared && protection && !error && at < address + size; at += PAGE_SIZE)
		if (!space_fault(space(), at, 0))
			error = -ENOMEM;
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
	return space_protect(space(), address, ALIGN_UP(size, PAGE_SIZE), protection);
}

long sys_brk(vaddr_t wanted)
{
	struct space *s = space();
	vaddr_t old_top = ALIGN_UP(s->heap_end, PAGE_SIZE), new_top = ALIGN_UP(wanted, PAGE_SIZE);
	if (wanted >= s->heap_start && wanted <= USER_TOP &&
	    (new_top <= old_top || !space_map(s, old_top, new_top - old_top, REGION_READ | REGION_WRITE, NULL, 0, 0)) &&
	    (new_top >= old_top || !space_unmap(s, new_top, old_top - new_top)))
		s->heap_end = wanted;
	return (long)s->heap_end;
}
