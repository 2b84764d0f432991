/*
 * Starting the processors (SDM vol. 3A 9.4.4): INIT, then a startup message that names the page where they begin. One
 * after the other, since they begin on one page and need a stack each: that of their idle thread.
 */
#include "boot.h"
#include "process.h"

/* The manual asks for two messages. An emulator whose host is busy may need longer for the first than hardware does. */
enum { INIT_WAIT_NS = 10000000, STARTUP_WAIT_NS = 100000000, STARTUPS = 10 };

extern char trampoline_start[], trampoline_cr3[], trampoline_end[];

__attribute__((section(".bss.entry"), aligned(64))) struct percpu percpus[PROCESSORS_MAX];
u32 processors_online = 1;
u64 processor_stack;			/* smp/trampoline.S */
static struct percpu *starting = percpus;
static u32 timer_counts;

struct percpu *processor_starting(void) { return starting; }

/* The boot processor alone looks at timeouts. */
static void tick(void)
{
	if (processor_index() == 0)
		scheduler_tick();
	else
		set_need_resched();
}

/* Here a processor comes to C. It may be seen as running before it has the lock: it is idle. */
NORETURN __attribute__((used)) void processor_main(void)
{
	write_cr3((u64)kernel_pml4 - KERNEL_BASE);
	processor_init();
	struct percpu *percpu = current_percpu();
	percpu->kernel_cr3 = percpu->user_cr3 = read_cr3();
	percpu->current = percpu->idle;
	apic_init_processor();
	apic_timer_start(timer_counts, tick);
	__atomic_store_n(&processors_online, processors_online + 1, __ATOMIC_RELEASE);
	kernel_lock();
	idle_loop();
}

static void wait_until(u64 deadline, u32 online)
{
	while (time_now() < deadline && __atomic_load_n(&processors_online, __ATOMIC_ACQUIRE) < online)
		__asm__ volatile("pause" : : : "memory");
}

static bool start(u8 apic_id)
{
	u32 online = processors_online + 1;
	struct thread *idle = thread_create(current_process(), 0);
	if (!idle)
		return false;
	idle->state = THREAD_READY;
	starting = &percpus[online - 1];
	*starting = (struct percpu){ .idle = idle, .index = online - 1, .apic_id = apic_id };
	processor_stack = idle->kernel_stack_top;
	for (int i = 0; i < STARTUPS && processors_online < online; i++) {
		apic_send(apic_id, APIC_STARTUP | TRAMPOLINE / PAGE_SIZE);
		wait_until(time_now() + STARTUP_WAIT_NS, online);
	}
	if (processors_online == online)
		return true;
	apic_send(apic_id, APIC_INIT);		/* if it comes late, it must not take the next one's stack */
	thread_free(idle);
	return false;
}

static bool usable(const struct boot_params *boot, u64 address)
{
	for (int i = 0; i < boot->e820_count; i++) {
		const struct e820_entry *e = &boot->e820[i];
		if (e->type == E820_RAM && e->address <= address && e->address + e->size >= address + PAGE_SIZE)
			return true;
	}
	return false;
}

/* Copies the code to its page, and makes the kernel's page tables with memory at 0, too, on which it gets on. */
static paddr_t trampoline_prepare(void)
{
	u64 *pml4 = direct(page_alloc());
	memcpy(pml4, kernel_pml4, PAGE_SIZE);
	pml4[0] = ((u64)kernel_pdpt - KERNEL_BASE) | PTE_PRESENT | PTE_WRITE;
	u32 cr3 = (u32)direct_to_physical(pml4);	/* below 4 GiB, as all frames that are given out so early */
	memcpy(direct(TRAMPOLINE), trampoline_start, trampoline_end - trampoline_start);
	memcpy(direct(TRAMPOLINE + (trampoline_cr3 - trampoline_start)), &cr3, sizeof cr3);
	return cr3;
}

void processors_start(const struct boot_params *boot)
{
	u8 apic_ids[PROCESSORS_MAX], self = apic_id();
	u32 found = processors_find(boot, apic_ids, PROCESSORS_MAX);
	percpus[0].apic_id = self;
	timer_counts = apic_timer_period();
	if (found > 1 && usable(boot, TRAMPOLINE)) {
		paddr_t tables = trampoline_prepare();
		for (u32 i = 0; i < found; i++)
			if (apic_ids[i] != self)
				apic_send(apic_ids[i], APIC_INIT);
		u64 deadline = time_now() + INIT_WAIT_NS;
		while (time_now() < deadline)
			__asm__ volatile("sti; hlt; cli" : : : "memory");	/* the timer wakes it */
		for (u32 i = 0; i < found; i++)
			if (apic_ids[i] != self && !start(apic_ids[i]))
				printk("ukl-kernel: the processor with local APIC %d does not start\n", apic_ids[i]);
		page_unref(tables);
	}
	printk("ukl-kernel: %u processor%s\n", processors_online, processors_online == 1 ? "" : "s");
}
