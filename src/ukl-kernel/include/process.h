/* Processes, threads, scheduling, signals. */
#ifndef PROCESS_H
#define PROCESS_H

#include "abi.h"
#include "arch.h"
#include "mm.h"

struct file;
struct inode;

#if CONFIG_NET		/* watchers: what epolls want to be told of, fs/epoll.c */
struct wait_queue { struct list waiters, watchers; };
#define WAIT_QUEUE_INIT(name) { LIST_INIT((name).waiters), LIST_INIT((name).watchers) }
#else
struct wait_queue { struct list waiters; };
#define WAIT_QUEUE_INIT(name) { LIST_INIT((name).waiters) }
#endif

/* Open files of a process. */
#define FILES_MAX (CONFIG_NET ? 1024 : 256)
struct files { struct file *open[FILES_MAX]; u8 close_on_exec[FILES_MAX]; };

#define SIGNALS 64
/* The beginning of Linux's siginfo_t; the signal says which of the union counts. */
struct signal_info {
	s32 signal, error, code, pad;
	union {
		struct { s32 pid, uid, status; };	/* kill, SIGCHLD */
		u64 address;				/* faults */
	};
};
/* Signals sent and not yet delivered: bit n-1. What is known of one is kept of the last one only. */
struct signal_set { u64 bits; struct signal_info last; };

/* A thread group. */
struct process {
	int pid, parent_pid, group;
	bool ring0;			/* its threads run at CPL 0 */
	bool exiting;			/* every thread is on its way to its end */
	bool zombie;			/* all have ended; wait4 has not told the parent yet */
	int exit_status;		/* as wait4 reports it */
	u32 umask;
	struct process *parent;
	struct list children, sibling;
	struct list threads;
	struct list link;		/* in all_processes */
	struct space *space;
	struct files *files;
	struct inode *directory;	/* current; referenced */
	struct inode *executable;	/* /proc/self/exe: busybox starts its own commands by it; referenced; may be NULL */
	struct kernel_sigaction actions[SIGNALS];
	struct signal_set pending;	/* signals for any thread */
	struct wait_queue child_exit;	/* here wait4 waits for a child's end, and vfork until the child lets go */
	bool *vfork_done;		/* where the parent waits until this process calls execve or exits; or NULL */
	u64 alarm_deadline, alarm_interval;	/* ITIMER_REAL, ns; 0: off */
	char name[16];			/* of the program, for messages */
};

enum thread_state { THREAD_READY, THREAD_WAITING, THREAD_DEAD };

struct thread {
	u64 kernel_rsp;			/* saved by switch_to; first: assembly knows the offset */
	u64 kernel_stack_top;		/* second: thread_activate copies it to the per-CPU block */
	struct registers *frame;	/* third: application's registers at the last entry */
	int tid;
	enum thread_state state;
	struct process *process;
	struct list in_process;
	struct list run;		/* in the run queue while ready */
	struct list wait;		/* in a wait queue */
	struct list sleep;		/* among the sleepers while it has a wake_time */
	u64 fs_base;
	u64 signal_mask, saved_mask;
	struct signal_set pending;	/* signals for this thread alone */
	bool restore_mask;		/* sigsuspend: saved_mask comes back after the handler */
	u64 wake_time;			/* ns; 0: no timeout */
	bool timed_out;
	bool exiting;			/* ends on the way back to the application; no wait holds it up */
	u64 clear_child_tid;		/* address in the application; 0: none */
	u64 futex_address;		/* that it waits for while among the futex waiters; 0: it was woken */
	u64 unmap_start, unmap_size;	/* its own stack, which it gave back while it needed it: sys_munmap() */
	struct space *last_space;	/* dead, the last of its process: the address space to be freed */
	struct sigaltstack signal_stack;
#if CONFIG_SMP
	u64 affinity;			/* bit n: may run on processor n */
#endif
	u8 fpu[512] __attribute__((aligned(16)));	/* FXSAVE area */
};

/* What GS points to. Assembly knows the offsets (include/registers.h). */
struct percpu {
	struct percpu *self;		/* 0 */
	struct thread *current;		/* 8 */
	u64 kernel_stack_top;		/* 16: of the current thread */
	u64 scratch_rsp;		/* 24: for entry code before it has a stack */
	u64 kernel_cr3, user_cr3;	/* 32, 40: KPTI */
	u64 work;			/* 48: WORK_* */
	u64 system_calls;		/* 56 */
	struct thread *idle;		/* 64 */
#if CONFIG_SMP
	u64 locked;			/* 72: this processor has the kernel's lock */
	u64 flush;			/* 80: it has been asked to forget translations */
	u64 entry_stack;		/* 88: KPTI: its end */
	u32 index, apic_id;		/* 96, 100 */
	u8 rest[128 - 104];
#endif
};

#if !CONFIG_SMP
extern struct percpu percpu0;
#endif
static inline struct percpu *current_percpu(void)
{
	struct percpu *percpu;
	__asm__ volatile("movq %%gs:0, %0" : "=r"(percpu));
	return percpu;
}
static inline struct thread *current_thread(void)
{
	struct thread *thread;
	__asm__ volatile("movq %%gs:8, %0" : "=r"(thread));
	return thread;
}
static inline struct process *current_process(void) { return current_thread()->process; }
/*
 * Why the way back to the application is not the short one. Entry code calls exit_work() when the word is not 0,
 * and clears WORK_SIGNALS before. thread_activate() sets WORK_SIGNALS, so that whoever slept looks once; whoever
 * sends a signal to the current thread or process, unblocks one or asks it to end calls set_exit_work().
 */
#define WORK_RESCHEDULE	1
#define WORK_SIGNALS	2
static inline void set_need_resched(void) { __asm__ volatile("orq $1, %%gs:48" : : : "memory", "cc"); }
static inline void clear_need_resched(void) { __asm__ volatile("andq $~1, %%gs:48" : : : "memory", "cc"); }
static inline void set_exit_work(void) { __asm__ volatile("orq $2, %%gs:48" : : : "memory", "cc"); }
static inline bool need_resched(void)
{
	u64 value;
	__asm__ volatile("movq %%gs:48, %0" : "=r"(value) : : "memory");
	return (value & WORK_RESCHEDULE) != 0;
}

#include "smp.h"

/* process/scheduler.c. Interrupts may be on or off; waiting keeps nothing locked. */
void scheduler_init(void);		/* makes the caller the idle thread, of process 0 */
void schedule(void);			/* gives the processor to the next ready thread */
void scheduler_tick(void);		/* from the timer interrupt, IF=0: time slices, timeouts, alarms */
void thread_ready(struct thread *thread);
NORETURN void idle_loop(void);

/*
 * Waiting. Returns 0, or -EINTR when a signal came, or -ETIMEDOUT at `deadline` (ns of time_now(), 0: none).
 * The condition is checked with interrupts off, so that a wake-up cannot slip in between.
 */
#define wait_event(queue, condition) wait_event_until(queue, condition, 0)
#define wait_event_until(queue, condition, deadline)                    \
	({                                                              \
		long result_ = 0;                                       \
		u64 flags_ = irq_save();                                \
		while (!(condition) && result_ == 0)                    \
			result_ = wait_sleep(queue, deadline);          \
		if (result_ != 0 && (condition))                        \
			result_ = 0;                                    \
		irq_restore(flags_);                                    \
		result_;                                                \
	})
long wait_sleep(struct wait_queue *queue, u64 deadline);	/* one sleep, IF=0; `queue` may be NULL */
void wait_uninterrupted(struct wait_queue *queue);	/* one sleep, IF=0, for what no signal may end */
void wake_all(struct wait_queue *queue);
static inline void wait_queue_init(struct wait_queue *queue)
{
	list_init(&queue->waiters);
#if CONFIG_NET
	list_init(&queue->watchers);
#endif
}

/* process/process.c, fork.c, exit.c */
extern struct list all_processes;
extern struct process *first_process;	/* process 1: the parent of orphans */
struct thread *thread_find(int tid);
int pid_allocate(void);
void process_init(struct process *process);
void thread_init(struct thread *thread, struct process *process);
struct process *process_create(struct process *parent, int pid);	/* NULL: no memory */
struct thread *thread_create(struct process *process, int tid);	/* not yet ready to run; NULL: no memory */
void thread_free(struct thread *thread);
void process_release(struct process *process);
void process_free(struct process *process);
void vfork_release(struct process *child);	/* its address space is the parent's alone again */
NORETURN void process_exit(int status);	/* the whole group; `status` as wait4 reports it */
NORETURN void thread_exit(int status);

/* process/elf.c, exec.c, init.c. Errors are negative errno values. */
struct elf_program { u64 entry, headers, header_size, header_count, heap_start; };
struct program_strings { char *text; u64 used; u32 argc, envc; };	/* argv, then envp, NUL-terminated */
ssize_t file_read_kernel(struct file *file, void *to, size_t size, u64 offset);
long elf_load(struct file *file, const char *path, struct space *space, struct elf_program *program);
long linked_program(struct elf_program *program);
long strings_add(struct program_strings *strings, const char *s, u32 *count);
/* Opens the file to execute for `path`: a script's interpreter, after adding what comes before its arguments. */
long program_open(const char *path, struct program_strings *strings, struct file **result);
/* Begins the program, or the linked one (NULL), in place of the current process's. Returns if it cannot. */
long program_execute(struct file *file, const char *path, struct program_strings *strings);
void process_start_first(const char *command_line);	/* makes process 1: the linked application, or /init */

/* process/time.c */
long timespec_read(const struct timespec *user, u64 *ns);	/* saturates; -EFAULT, -EINVAL */
u64 deadline_of(u64 ns, bool absolute, bool realtime);	/* for wait_event_until: never 0 */

/* process/futex.c */
long futex_wake(u64 address, u32 count);

/* process/signal.c, signal-frame.c. To one thread, or, if NULL, to any of the process: */
void signal_post(struct process *process, struct thread *thread, const struct signal_info *info);
void signal_send(struct process *process, struct thread *thread, int signal);	/* by the kernel */
void signal_send_group(int group, int signal);	/* the terminal's Ctrl-C */
bool signal_pending(struct thread *thread);	/* an unblocked one that is not ignored, or its end */
long signal_frame_push(struct registers *frame, const struct signal_info *info,
		       const struct kernel_sigaction *action, u64 mask);
/* A fault of the current thread (SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP): handler, death, or panic. */
void signal_fault(struct registers *frame, int signal, int code, u64 address);
/* Work on the way back to the application: signals, rescheduling. From entry code, IF=0 on return. */
void exit_work(struct registers *frame);

/* A program's first FXSAVE image: every exception masked, round to nearest (SDM vol. 1 tables 8-1, 11-1). */
static inline void fpu_init(u8 *fpu)
{
	memset(fpu, 0, 512);
	*(u16 *)fpu = 0x37f;
	*(u32 *)(fpu + 24) = 0x1f80;
}
/* The processor's x87 and SSE state is the current thread's: the kernel uses neither. 16-byte aligned. */
static inline void fpu_save(u8 *fpu) { __asm__ volatile("fxsave64 (%0)" : : "r"(fpu) : "memory"); }
static inline void fpu_load(const u8 *fpu) { __asm__ volatile("fxrstor64 (%0)" : : "r"(fpu) : "memory"); }

/*
 * arch/switch.S, arch/thread.c. switch_to() itself calls thread_activate(), on a stack of neither thread: with
 * STACK_SWITCH=0 a thread may wait on its application's stack, which is gone when CR3 changes. IF=0.
 */
void switch_to(struct thread *from, struct thread *to);
/* Prepares a new thread's kernel stack so that its first switch_to returns to the application with `frame`. */
void thread_prepare(struct thread *thread, const struct registers *frame);
/* Per-CPU state that follows the thread: TSS.RSP0, FS base, GS bases and LSTAR by ring0, FPU, CR3. */
void thread_activate(struct thread *from, struct thread *to);
/* Registers with which an application begins: CS, SS by ring0; RFLAGS.IF set. */
void registers_init(struct registers *frame, bool ring0, u64 rip, u64 rsp);

#endif
