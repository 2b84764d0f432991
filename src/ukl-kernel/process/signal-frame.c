/*
 * What a signal handler finds on its stack, and the way back: Linux's struct rt_sigframe for x86-64
 * (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h, uapi/asm/ucontext.h), which C libraries know.
 */
#include "process.h"

struct signal_context {
	u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 error, trap, old_mask, cr2;
	u64 fpu;			/* address of the FXSAVE image */
	u64 reserved[8];
};

struct user_context {
	u64 flags, link;
	struct sigaltstack stack;
	struct signal_context registers;
	u64 mask;
};

struct signal_frame {
	u64 restorer;			/* the handler's return address */
	struct user_context context;
	struct signal_info info;
	u8 rest[128 - sizeof(struct signal_info)];	/* of siginfo_t */
};

enum { UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4 };
enum { RED_ZONE = 128, FPU_SIZE = 512, FPU_MXCSR = 24, FPU_MXCSR_MASK = 28 };
/* What the application may change: CF, PF, AF, ZF, SF, TF, DF, OF, RF, AC, ID. */
#define RFLAGS_APPLICATION	0x00250dd5UL
#define RFLAGS_RF		0x10000UL
#define HANDLER_CLEARS		(RFLAGS_DF | RFLAGS_TF | RFLAGS_RF)

static bool on_signal_stack(const struct thread *thread, u64 rsp)
{
	return !(thread->signal_stack.flags & SS_DISABLE) && rsp > thread->signal_stack.sp &&
	       rsp - thread->signal_stack.sp <= thread->signal_stack.size;
}

/*
 * Where the handler's frame may begin. With STACK_SWITCH=0, and for faults without FAULT_STACK_IST, the kernel
 * itself runs on the application's stack: then below what the kernel may still need of it.
 */
static u64 stack_below(const struct registers *frame, const struct thread *thread)
{
	u64 here = (u64)__builtin_frame_address(0), top = thread->kernel_stack_top;
	bool kernel_stack = here < top && here >= top - KERNEL_STACK_SIZE;

	return kernel_stack ? frame->rsp - RED_ZONE : MIN(frame->rsp - RED_ZONE, here - STACK_PROBE_SIZE);
}

static u32 signal_stack_flags(const struct thread *thread, u64 rsp)
{
	return thread->signal_stack.flags & SS_DISABLE ? SS_DISABLE : on_signal_stack(thread, rsp) ? SS_ONSTACK : 0;
}

/* A fault's vector and error code are still in its frame. */
static void fill_context(struct user_context *to, const struct registers *frame, const struct signal_info *info,
			 u64 mask, u64 fpu)
{
	const struct thread *thread = current_thread();
	bool fault = frame->vector > 0 && frame->vector < 32;

	*to = (struct user_context){
		.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
		.stack = thread->signal_stack,
		.registers = {
			frame->r8, frame->r9, frame->r10, frame->r11, frame->r12, frame->r13, frame->r14, frame->r15,
			frame->rdi, frame->rsi, frame->rbp, frame->rbx, frame->rdx, frame->rax, frame->rcx, frame->rsp,
			frame->rip, frame->rflags, frame->cs, 0, 0, frame->ss, fault ? frame->error : 0,
			fault ? frame->vector : 0, mask, frame->vector == 14 ? info->address : 0, fpu, {},
		},
		.mask = mask,
	};
	to->stack.flags = signal_stack_flags(thread, frame->rsp);
}

/* Makes the handler's frame and has `frame` return to the handler. Nonzero: the stack cannot be written. */
long signal_frame_push(struct registers *frame, const struct signal_info *info, const struct kernel_sigaction *action,
		       u64 mask)
{
	struct thread *thread = current_thread();
	struct signal_frame user;
	u64 rsp = stack_below(frame, thread), fpu, at;

	if ((action->flags & SA_ONSTACK) && signal_stack_flags(thread, frame->rsp) == 0)
		rsp = thread->signal_stack.sp + thread->signal_stack.size;
	if (!(action->flags & SA_RESTORER))
		return -EFAULT;
	fpu = ALIGN_DOWN(rsp - FPU_SIZE, 64);
	/* As after a CALL: RSP + 8 is a multiple of 16 (psABI 3.2.2). */
	at = ALIGN_DOWN(fpu - sizeof user, 16) - 8;
	user.restorer = action->restorer;
	fill_context(&user.context, frame, info, mask, fpu);
	user.info = *info;
	memset(user.rest, 0, sizeof user.rest);
	fpu_save(thread->fpu);
	if (copy_to_user((void *)fpu, thread->fpu, FPU_SIZE) || copy_to_user((void *)at, &user, sizeof user))
		return -EFAULT;

	frame->rip = canonical_rip(action->handler);
	frame->rsp = at;
	frame->rdi = info->signal;
	frame->rsi = at + offsetof(struct signal_frame, info);
	frame->rdx = at + offsetof(struct signal_frame, context);
	frame->rax = 0;
	frame->rflags &= ~HANDLER_CLEARS;
	frame->vector = 0;		/* the registers are not a system call's any more */
	return 0;
}

/* The image may have been changed by the handler: only bits that FXRSTOR takes (SDM vol. 1 11.6.6). */
static void restore_fpu(struct thread *thread, const u8 *image)
{
	u32 supported;

	fpu_save(thread->fpu);
	supported = *(u32 *)(thread->fpu + FPU_MXCSR_MASK);
	memcpy(thread->fpu, image, FPU_SIZE);
	*(u32 *)(thread->fpu + FPU_MXCSR) &= supported ? supported : 0xffbf;
	fpu_load(thread->fpu);
}

long sys_rt_sigreturn(void)
{
	struct thread *thread = current_thread();
	struct registers *frame = thread->frame;
	struct user_context context;
	const struct signal_context *from = &context.registers;
	u8 fpu[FPU_SIZE];

	/* The handler's RET has popped the restorer's address: RSP is at the context. */
	if (copy_from_user(&context, (void *)frame->rsp, sizeof context) ||
	    (from->fpu && copy_from_user(fpu, (void *)from->fpu, sizeof fpu))) {
		process_exit(SIGSEGV);
	}
	frame->r8 = from->r8;
	frame->r9 = from->r9;
	frame->r10 = from->r10;
	frame->r11 = from->r11;
	frame->r12 = from->r12;
	frame->r13 = from->r13;
	frame->r14 = from->r14;
	frame->r15 = from->r15;
	frame->rdi = from->rdi;
	frame->rsi = from->rsi;
	frame->rbp = from->rbp;
	frame->rbx = from->rbx;
	frame->rdx = from->rdx;
	frame->rcx = from->rcx;
	frame->rsp = from->rsp;
	frame->rip = canonical_rip(from->rip);
	/* Segments are the process's; interrupts stay on. */
	frame->rflags = (frame->rflags & ~RFLAGS_APPLICATION) | (from->rflags & RFLAGS_APPLICATION) | RFLAGS_IF;
	frame->vector = 0;
	if (from->fpu)
		restore_fpu(thread, fpu);
	thread->signal_mask = context.mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	thread->signal_stack.sp = context.stack.sp;
	thread->signal_stack.size = context.stack.size;
	set_exit_work();		/* all registers count, not those of a system call's return */
	return from->rax;
}

long sys_sigaltstack(const struct sigaltstack *new, struct sigaltstack *old)
{
	struct thread *thread = current_thread();
	struct sigaltstack before = thread->signal_stack, stack;

	before.flags = signal_stack_flags(thread, thread->frame->rsp);
	if (new) {
		if (copy_from_user(&stack, new, sizeof stack))
			return -EFAULT;
		if (before.flags == SS_ONSTACK)
			return -EPERM;
		if (stack.flags & ~(SS_DISABLE | SS_ONSTACK))
			return -EINVAL;
		if (!(stack.flags & SS_DISABLE) && stack.size < MINSIGSTKSZ)
			return -ENOMEM;
		stack.flags &= SS_DISABLE;
		thread->signal_stack = stack.flags ? (struct sigaltstack){ .flags = SS_DISABLE } : stack;
	}
	return old && copy_to_user(old, &before, sizeof before) ? -EFAULT : 0;
}
