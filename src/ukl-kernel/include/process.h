/* Processes, threads, scheduling, signals. */
#ifndef PROCESS_H
#define PROCESS_H

#include "abi.h"
#include "arch.h"
#include "mm.h"

#define KERNEL_STACK_SIZE 16384UL

struct file;
struct inode;

struct wait_queue { struct list waiters; };
#define WAIT_QUEUE_INIT(name) { LIST_INIT((name).waiters) }

/* Open files of a process; shared by CLONE_FILES. */
#define FILES_MAX 256
struct files {
	u32 references;
	struct file *open[FILES_MAX];
	u8 close_on_exec[FILES_MAX];
};

struct signal_actions { u32 references; struct kernel_sigaction action[64]; };

enum process_state { PROCESS_ALIVE, PROCESS_ZOMBIE };

/* A thread group. */
struct process {
	int pid, parent_pid, group, session;
	enum process_state state;
	bool ring0;			/* its threads run at CPL 0 */
	int exit_status;		/* as wait4 reports it */
	struct process *parent;
	struct list children, sibling;
	struct list threads;
	struct list link;		/* in all_processes */
	struct space *space;
	struct files *files;
	struct signal_actions *actions;
	struct inode *directory;	/* current; referenced */
	struct inode *executable;	/* for /proc; referenced; NULL: the linked application */
	u32 umask;
	u64 pending;			/* signals for any thread: bit n-1 */
	struct wait_queue child_exit;
	struct wait_queue vfork_done;	/* the parent of a CLONE_VFORK child waits here */
	bool vfork_released;
	u64 alarm_deadline, alarm_interval;	/* ITIMER_REAL, ns; 0: off */
	char name[16];
};

enum thread_state { THREAD_READY, THREAD_WAITING, THREAD_DEAD };

struct thread {
	u64 kernel_rsp;			/* saved by switch_to; first: assembly knows the offset */
	u64 kernel_stack_top;		/* second: entry code knows the offset */
	int tid;
	enum thread_state state;
	struct process *process;
	struct list in_process;
	struct list run;		/* in the run queue while ready */
	struct list wait;		/* in a wait queue */
	struct registers *frame;	/* application's registers at the last entry */
	u64 fs_base;
	u64 signal_mask, saved_mask, pending;
	bool restore_mask;		/* sigsuspend: saved_mask comes back after the handler */
	u64 wake_time;			/* ns; 0: no timeout */
	bool timed_out, interrupted;
	u64 clear_child_tid;
	struct sigaltstack signal_stack;
	u8 fpu[512] __attribute__((aligned(16)));	/* FXSAVE area */
};

/* What GS points to. Assembly knows the offsets (arch/percpu.h). */
struct percpu {
	struct percpu *self;		/* 0 */
	struct thread *current;		/* 8 */
	u64 kernel_stack_top;		/* 16: of the current thread */
	u64 scratch_rsp;		/* 24: for entry code before it has a stack */
	u64 kernel_cr3, user_cr3;	/* 32, 40: KPTI */
	u64 need_resched;		/* 48: set by the timer tick and by wake-ups */
	u64 system_calls;		/* 56 */
	struct thread *idle;		/* 64 */
};

static inline struct thread *current_thread(void)
{
	struct thread *thread;
	__asm__ volatile("movq %%gs:8, %0" : "=r"(thread));
	return thread;
}
static inline struct process *current_process(void) { return current_thread()->process; }
void set_need_resched(void);

/* process/scheduler.c. Interrupts may be on or off; waiting keeps nothing locked. */
void scheduler_init(void);
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
void wake_all(struct wait_queue *queue);
void wake_one(struct wait_queue *queue);
static inline void wait_queue_init(struct wait_queue *queue) { list_init(&queue->waiters); }

/* process/process.c, fork.c, exec.c, exit.c */
extern struct list all_processes;
struct process *process_find(int pid);
void process_start_first(void);		/* makes process 1: the linked application, or /init */
NORETURN void process_exit(int status);	/* the whole group; `status` as wait4 reports it */
NORETURN void thread_exit(int status);

/* process/signal.c */
void signal_send(struct process *process, int signal);
void signal_send_thread(struct thread *thread, int signal);
void signal_send_group(int group, int signal);	/* the terminal's Ctrl-C */
bool signal_pending(struct thread *thread);	/* an unblocked one that is not ignored */
/* A fault of the current thread (SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP): handler, death, or panic. */
void signal_fault(struct registers *frame, int signal, int code, u64 address);
/* Work on the way back to the application: signals, rescheduling. From entry code, IF=0 on return. */
void exit_work(struct registers *frame);

/* arch/switch.S, arch/thread.c */
void switch_to(struct thread *from, struct thread *to);
/* Prepares a new thread's kernel stack so that its first switch_to returns to the application with `frame`. */
void thread_prepare(struct thread *thread, const struct registers *frame);
/* Per-CPU state that follows the thread: TSS.RSP0, FS base, GS bases and LSTAR by ring0, FPU, CR3. */
void thread_activate(struct thread *from, struct thread *to);
/* Registers with which an application begins: CS, SS by ring0; RFLAGS.IF set. */
void registers_init(struct registers *frame, bool ring0, u64 rip, u64 rsp);

#endif
