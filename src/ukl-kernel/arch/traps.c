/* Exceptions and interrupts, once entry code has saved the registers: what each of them means. */
#include "arch.h"
#include "image.h"
#include "process.h"

/* More of si_code (include/uapi/asm-generic/siginfo.h). */
enum { BUS_ADRALN = 1, TRAP_TRACE = 2 };

enum { VECTOR_NMI = 2, VECTOR_DF = 8, VECTOR_PF = 14, VECTOR_MC = 18 };

struct exception { const char *name; u8 signal; u16 code; };
/* By vector (SDM vol. 3A table 6-1), with the signal that Linux sends. */
static const struct exception exceptions[32] = {
	[0] = { "#DE: division by zero or overflow", SIGFPE, FPE_INTDIV },
	[1] = { "#DB: debug exception", SIGTRAP, TRAP_TRACE },
	[2] = { "NMI", 0, 0 },
	[3] = { "#BP: breakpoint", SIGTRAP, SI_KERNEL },
	[4] = { "#OF: overflow", SIGSEGV, SI_KERNEL },
	[5] = { "#BR: bound range exceeded", SIGSEGV, SI_KERNEL },
	[6] = { "#UD: invalid opcode", SIGILL, ILL_ILLOPN },
	[7] = { "#NM: device not available", SIGFPE, SI_KERNEL },
	[8] = { "#DF: double fault", SIGSEGV, SI_KERNEL },
	[10] = { "#TS: invalid TSS", SIGSEGV, SI_KERNEL },
	[11] = { "#NP: segment not present", SIGBUS, SI_KERNEL },
	[12] = { "#SS: stack fault", SIGBUS, SI_KERNEL },
	[13] = { "#GP: general protection", SIGSEGV, SI_KERNEL },
	[14] = { "#PF: page fault", SIGSEGV, SEGV_MAPERR },
	[16] = { "#MF: x87 floating-point error", SIGFPE, SI_KERNEL },
	[17] = { "#AC: alignment check", SIGBUS, BUS_ADRALN },
	[18] = { "#MC: machine check", 0, 0 },
	[19] = { "#XM: SIMD floating-point error", SIGFPE, SI_KERNEL },
};

struct fixup { u64 instruction, target; };
extern char trap_stubs[], dispatch_trap_call[];
extern const struct fixup fixups_start[], fixups_end[];

/* The kernel's accesses to an application's memory say where to go on if they fault: mm/user.c. */
static bool fix_up(struct registers *frame)
{
	for (const struct fixup *fixup = fixups_start; fixup < fixups_end; fixup++) {
		if (fixup->instruction == frame->rip) {
			frame->rip = fixup->target;
			return true;
		}
	}
	return false;
}

bool from_application(const struct registers *frame)
{
	return frame->cs & 3 || (RING0_APPLICATION && frame->rip < USER_TOP) ||
	       (frame->rip >= (u64)application_start && frame->rip < (u64)application_text_end);
}

/* Entry code of exceptions and interrupts, up to where the processor's stack matters. */
#define FRAME_PUSHED 64		/* bytes: SS to error code, and what aligning RSP leaves out */
static bool in_trap_entry(u64 rip) { return rip >= (u64)trap_stubs && rip < (u64)dispatch_trap_call; }

void exception_describe(const struct registers *frame, u64 address, char *text, size_t size)
{
	const char *name = exceptions[frame->vector].name;
	if (frame->vector == VECTOR_PF || frame->vector == VECTOR_DF)
		snprintf(text, size, "%s: %s of address %p at %pS", name,
			 frame->error & FAULT_FETCH ? "execution" : frame->error & FAULT_WRITE ? "write" : "read",
			 (void *)address, (void *)frame->rip);
	else
		snprintf(text, size, "%s at %pS", name, (void *)frame->rip);
}

static void report(struct registers *frame, int signal, int code, u64 address)
{
	char text[128];
	if (fix_up(frame))
		return;
	if (from_application(frame)) {
		signal_fault(frame, signal, code, address);
		return;
	}
	exception_describe(frame, address, text, sizeof(text));
	panic(frame, "%s%s", text, frame->vector == VECTOR_DF ? " (stack overflow?)" : "");
}

/* NULL until the first program runs. */
static struct space *current_space(void)
{
	struct thread *thread = current_thread();
	return thread && thread->process ? thread->process->space : NULL;
}

static __attribute__((noinline)) bool resolve(u64 address, u32 error)
{
	struct space *space = current_space();
	return address < USER_TOP && space && space_fault(space, address, error);
}

static void page_fault(struct registers *frame)
{
	u64 address = read_cr2();
	if (frame->rflags & RFLAGS_IF)
		irq_enable();
	if (resolve(address, (u32)frame->error))
		return;
	struct space *space = current_space();
	report(frame, SIGSEGV, space && space_region(space, address) ? SEGV_ACCERR : SEGV_MAPERR, address);
}

/*
 * Without IST, a fault or an interrupt whose frame does not fit on the interrupted stack becomes a double fault
 * (SDM vol. 3A table 6-5); CR2 is the address of the push. Once that page is there, the interrupted instruction
 * is simply restarted: a fault happens again. An interrupt does not: it was acknowledged, its handler never ran.
 * The local APIC still has it in service, unless it is one whose entry code was itself interrupted.
 */
static void double_fault(struct registers *frame)
{
	u64 address = read_cr2();
	bool stack = RING0_APPLICATION && !FAULT_STACK_IST && frame->rsp - address <= FRAME_PUSHED &&
		     resolve(address, FAULT_WRITE);
	if (!stack) {
		frame->error = FAULT_WRITE;
		report(frame, SIGSEGV, SEGV_MAPERR, address);
		return;
	}
	int vector = in_trap_entry(frame->rip) ? -1 : apic_interrupt_in_service();
	if (vector >= VECTOR_ISA)
		interrupt_dispatch((u64)vector);
}

/* From entry-traps.S, interrupts off. */
void dispatch_trap(struct registers *frame)
{
	if (from_application(frame) && current_thread())
		current_thread()->frame = frame;
	if (frame->vector == VECTOR_PF)
		page_fault(frame);
	else if (frame->vector == VECTOR_DF)
		double_fault(frame);
	else if (frame->vector >= VECTOR_ISA)
		interrupt_dispatch(frame->vector);
	else if (exceptions[frame->vector].name)
		report(frame, exceptions[frame->vector].signal, exceptions[frame->vector].code, frame->rip);
	else
		panic(frame, "reserved exception %lu", frame->vector);
}

/*
 * From entry code that found itself where it cannot go on. If it faulted at its first use of GS, its frame is what
 * is known, and CR2 the per-CPU block's field in the wrong place. The interrupted application's frame was on the
 * same stack and is gone, but for RBP.
 */
NORETURN void panic_in_entry(const struct registers *frame)
{
	if (frame->vector == VECTOR_NMI && processors_stopped())
		halt();
	if (frame->vector == VECTOR_NMI || frame->vector == VECTOR_MC)
		panic(frame, "%s at %pS", exceptions[frame->vector].name, (void *)frame->rip);
	panic(frame, "IA32_GS_BASE does not hold the per-CPU block: the application has changed it (address %p)",
	      (void *)read_cr2());
}
