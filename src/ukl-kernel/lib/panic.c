/* The end of the road: says what happened, where, and how control came there, then stops the machine. */
#include "image.h"
#include "mm.h"
#include "process.h"

#define BACKTRACE_MAX 16
#define PANIC_STATUS 0x7f	/* isa-debug-exit: QEMU ends with 255 */

/* Follows the chain of frame pointers as long as it can be read and leads upwards. */
static void print_backtrace(u64 rip, u64 rsp, u64 rbp)
{
	u64 offset, caller;

	printk("backtrace:\n  %p %pS\n", (void *)rip, (void *)rip);
	/* A call of what is no function has made no frame: what it would return to is on top of the stack. */
	if (!symbol_at(rip, &offset) && !kernel_read(&caller, rsp, sizeof(caller)) && symbol_at(caller, &offset))
		printk("  %p %pS\n", (void *)caller, (void *)caller);
	for (int depth = 1; depth < BACKTRACE_MAX && rbp; depth++) {
		u64 frame[2];	/* the caller's RBP, the return address */
		if (rbp % 8 || kernel_read(frame, rbp, sizeof(frame)) || !frame[1])
			break;
		printk("  %p %pS\n", (void *)frame[1], (void *)frame[1]);
		if (frame[0] <= rbp)
			break;
		rbp = frame[0];
	}
}

static void print_registers(const struct registers *r)
{
	printk("RIP %p %pS\n", (void *)r->rip, (void *)r->rip);
	printk("CS  %04lx SS %04lx RFLAGS %08lx ERROR %04lx\n", r->cs, r->ss, r->rflags, r->error);
	printk("RSP %p RBP %p CR2 %p CR3 %p\n", (void *)r->rsp, (void *)r->rbp, (void *)read_cr2(),
	       (void *)read_cr3());
	printk("RAX %p RBX %p RCX %p RDX %p\n", (void *)r->rax, (void *)r->rbx, (void *)r->rcx, (void *)r->rdx);
	printk("RSI %p RDI %p R8  %p R9  %p\n", (void *)r->rsi, (void *)r->rdi, (void *)r->r8, (void *)r->r9);
	printk("R10 %p R11 %p R12 %p R13 %p\n", (void *)r->r10, (void *)r->r11, (void *)r->r12, (void *)r->r13);
	printk("R14 %p R15 %p\n", (void *)r->r14, (void *)r->r15);
}

void panic(const struct registers *registers, const char *format, ...)
{
	static bool panicking;
	char text[256];
	va_list arguments;

	irq_disable();
	processors_stop();
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	printk("\nukl-kernel: panic: %s\n", text);
	if (!panicking) {
		panicking = true;
		struct thread *thread = current_thread();
		if (thread && thread->process)
			printk("in process %d (%s), thread %d\n", thread->process->pid, thread->process->name,
			       thread->tid);
		if (registers) {
			print_registers(registers);
			print_backtrace(registers->rip, registers->rsp, registers->rbp);
		} else {
			print_backtrace((u64)__builtin_return_address(0), 0, *(u64 *)__builtin_frame_address(0));
		}
	}
	serial_drain();
	outb(DEBUG_EXIT_PORT, PANIC_STATUS);
	halt();
}
