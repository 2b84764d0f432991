/*
 * What a signal handler finds on its stack, and the way back: Linux's struct rt_sigframe for x86-64
 * (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h, uapi/asm/ucontext.h), which C libraries know.
 */
#include "process.h"

/* Where the context's first words are in struct registers. */
#define AT(name) (offsetof(struct registers, name) / sizeof(u64))
static const u8 context_order[] = {
	AT(r8), AT(r9), AT(r10), AT(r11), AT(r12), AT(r13), AT(r14), AT(r15), AT(rdi), AT(rsi), AT(rbp), AT(rbx), AT(rdx),
	AT(rax), AT(rcx), AT(rsp), AT(rip), AT(rflags),
};
struct signal_context {
	u64 registers[ARRAY_SIZE(context_order)];
	u16 cs, gs, fs, ss;
	u64 error, trap, old_mask, cr2;
	u64 fpu;			/* address of the FXSAVE image */
	u64 reserved[8];
};
struct user_context {
	u64 flags, link;
	struct sigaltstack stack;
	struct signal_context at;
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

static u32 signal_stack_flags(const struct thread *thread, u64 rsp)
{
	const struct sigaltstack *stack = &thread->signal_stack;
	if (stack->flags & SS_DISABLE)
		return SS_DISABLE;
	return rsp > stack->sp && rsp - stack->sp <= stack->size ? SS_ONSTACK : 0;
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

/* A fault's vector and error code are still in its frame. */
static void fill_context(struct user_context *to, const struct registers *frame, const struct signal_info *info,
			 u64 mask, u64 fpu)
{
	const struct thread *thread = current_thread();
	bool fault = frame->vector > 0 && frame->vector < 32;
	*to = (struct user_context){
		.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
		.stack = thread->signal_stack,
		.at = { .cs = frame->cs, .ss = frame->ss, .error = fault ? frame->error : 0,
			.trap = fault ? frame->vector : 0, .old_mask = mask,
			.cr2 = frame->vector == 14 ? info->address : 0, .fpu = fpu },
		.mask = mask,
	};
	to->stack.flags = signal_stack_flags(thread, frame->rsp);
	for (u32 i = 0; i < ARRAY_SIZE(context_order); i++)
		to->at.registers[i] = ((const u64 *)frame)[context_order[i]];
}

/* Makes the handler's frame and has `frame` return to the handler. Nonzero: the stack cannot be written. */
long signal_frame_push(struct registers *frame, const struct signal_info *info, const struct kernel_sigaction *action,
		       u64 mask)
{
	struct thread *thread = current_thread();
	struct signal_frame user;
	u64 rsp = stack_below(frame, thread);
	if ((action->flags & SA_ONSTACK) && signal_stack_flags(thread, frame->rsp) == 0)
		rsp = thread->signal_stack.sp + thread->signal_stack.size;
	if (!(action->flags & SA_RESTORER))
		return -EFAULT;
	u64 fpu = ALIGN_DOWN(rsp - FPU_SIZE, 64);
	/* As after a CALL: RSP + 8 is a multiple of 16 (psABI 3.2.2). */
	u64 at = ALIGN_DOWN(fpu - sizeof user, 16) - 8;
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
	fpu_save(thread->fpu);
	u32 supported = *(u32 *)(thread->fpu + FPU_MXCSR_MASK);
	memcpy(thread->fpu, image, FPU_SIZE);
	*(u32 *)(thread->fpu + FPU_MXCSR) &= supported ? supported : 0xffbf;
	fpu_load(thread->fpu);
}

long sys_rt_sigreturn(void)
{
	struct thread *thread = current_thread();
	struct registers *frame = thread->frame;
	struct user_context context;
	u8 fpu[FPU_SIZE];
	/* The handler's RET has popped the restorer's address: RSP is at the context. */
	if (copy_from_user(&context, (void *)frame->rsp, sizeof context) ||
	    (context.at.fpu && copy_from_user(fpu, (void *)context.at.fpu, sizeof fpu)))
		process_exit(SIGSEGV);
	/* Segments are the process's; interrupts stay on. */
	u64 rflags = frame->rflags & ~RFLAGS_APPLICATION;
	for (u32 i = 0; i < ARRAY_SIZE(context_order); i++)
		((u64 *)frame)[context_order[i]] = context.at.registers[i];
	frame->rip = canonical_rip(frame->rip);
	frame->rflags = rflags | (frame->rflags & RFLAGS_APPLICATION) | RFLAGS_IF;
	frame->vector = 0;
	if (context.at.fpu)
		restore_fpu(thread, fpu);
	thread->signal_mask = context.mask & ~UNBLOCKABLE;
	thread->signal_stack.sp = context.stack.sp;
	thread->signal_stack.size = context.stack.size;
	set_exit_work();		/* all registers count, not those of a system call's return */
	return frame->rax;
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
		stack.flags &= SS_DISABLE;
		if (!stack.flags && stack.size < MINSIGSTKSZ)
			return -ENOMEM;
		thread->signal_stack = stack;
	}
	return old && copy_to_user(old, &before, sizeof before) ? -EFAULT : 0;
}
