/* /proc, as much of it as ps, mount, free and self-references ask for: made anew at each look. */
#include "internal.h"

static struct inode *proc;

enum { TARGET_SIZE = 256 };	/* of its symbolic links; a longer path is not shown */

static struct inode *make(struct inode *directory, const char *name, u32 mode, void (*refresh)(struct inode *))
{
	struct inode *inode = inode_create(mode);
	if (!inode)
		return NULL;
	inode->refresh = refresh;
	bool made = !S_ISLNK(mode) || (inode->target = kmalloc(TARGET_SIZE));
	made = made && !entry_add(directory, name, inode);
	inode_unref(inode);
	return made ? inode : NULL;
}

static void set_text(struct inode *inode, const char *text)
{
	inode_truncate(inode, 0);
	inode_write_kernel(inode, text, strlen(text));
}


/* Files of a process lie in a directory that is named by its number. */
static struct process *process_of(struct inode *inode)
{
	int pid = 0;
	const char *name = inode->name ? inode->name->directory->name->name : "0";
	for (; *name; name++)
		pid = pid * 10 + *name - '0';
	return process_find(pid);
}

/* Fields 1 to 24 of proc(5); what is not kept is 0. */
static void refresh_stat(struct inode *inode)
{
	struct process *process = process_of(inode);
	char text[256];
	if (!process)
		return set_text(inode, "");
	u64 start = process->start_time / (NS_PER_SECOND / 100), ticks = process->run_time / (NS_PER_SECOND / 100);
	char state = process->state == PROCESS_ZOMBIE ? 'Z' : process->stopped ? 'T' :
		     process == current_process() ? 'R' : 'S';
	snprintf(text, sizeof(text), "%d (%s) %c %d %d %d %d %d 0 0 0 0 0 %lu 0 0 0 20 0 1 0 %lu 0 0 0\n", process->pid,
		 process->name, state, process->parent_pid, process->group, process->session, 5 << 8 | 1, 1, ticks, start);
	set_text(inode, text);
}

static void refresh_cmdline(struct inode *inode)
{
	struct process *process = process_of(inode);
	set_text(inode, process ? process->name : "");
}

static void refresh_exe(struct inode *inode)
{
	struct process *process = process_of(inode);
	if (!process || !process->executable || inode_path(process->executable, inode->target, TARGET_SIZE) < 0)
		inode->target[0] = 0;
}

static void refresh_nothing(struct inode *inode) { (void)inode; }

static void make_process(struct process *process)
{
	char name[16];
	snprintf(name, sizeof(name), "%d", process->pid);
	struct inode *directory = make(proc, name, S_IFDIR | 0555, refresh_nothing);
	if (!directory)
		return;
	make(directory, "stat", S_IFREG | 0444, refresh_stat);
	make(directory, "cmdline", S_IFREG | 0444, refresh_cmdline);
	make(directory, "exe", S_IFLNK | 0777, refresh_exe);
}

/* Directories of processes that are gone go, and those of new ones come. */
static void refresh_proc(struct inode *inode)
{
	struct entry *entry, *after;
	struct process *process;
	char name[16];

	inode->refresh = refresh_nothing;	/* entry_find below comes here again */
	list_for_each_safe(entry, after, &inode->directory.entries, link) {
		if (entry->name[0] < '0' || entry->name[0] > '9')
			continue;
		bool alive = false;
		list_for_each(process, &all_processes, link) {
			snprintf(name, sizeof(name), "%d", process->pid);
			alive |= !strcmp(name, entry->name);
		}
		if (alive)
			continue;
		struct entry *file, *next;
		list_for_each_safe(file, next, &entry->inode->directory.entries, link)
			entry_remove(file);
		entry->inode->links--;
		entry_remove(entry);
	}
	list_for_each(process, &all_processes, link) {
		snprintf(name, sizeof(name), "%d", process->pid);
		if (process->pid && !entry_find(inode, name, strlen(name)))
			make_process(process);
	}
	inode->refresh = refresh_proc;
}

static void refresh_self(struct inode *inode)
{
	snprintf(inode->target, TARGET_SIZE, "%d", current_process()->pid);
}

static void refresh_meminfo(struct inode *inode)
{
	char text[160];
	u64 total = pages_total() * 4, free = pages_free() * 4;
	snprintf(text, sizeof(text),
		 "MemTotal: %15lu kB\nMemFree: %16lu kB\nMemAvailable: %11lu kB\nBuffers: 0 kB\nCached: 0 kB\n", total, free, free);
	set_text(inode, text);
}

static void refresh_mounts(struct inode *inode) { set_text(inode, "tmpfs / tmpfs rw 0 0\nproc /proc proc ro 0 0\n"); }

static void refresh_uptime(struct inode *inode)
{
	char text[64];
	u64 hundredths = time_now() / (NS_PER_SECOND / 100);
	snprintf(text, sizeof(text), "%lu.%02lu 0.00\n", hundredths / 100, hundredths % 100);
	set_text(inode, text);
}

void proc_init(void)
{
	proc = make(inode_root(), "proc", S_IFDIR | 0555, refresh_proc);
	make(proc, "self", S_IFLNK | 0777, refresh_self);
	make(proc, "meminfo", S_IFREG | 0444, refresh_meminfo);
	make(proc, "mounts", S_IFREG | 0444, refresh_mounts);
	make(proc, "uptime", S_IFREG | 0444, refresh_uptime);
}
