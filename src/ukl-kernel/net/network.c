/*
 * The network: its configuration, its thread, and what drives it.
 *
 * All of the stack runs in threads, never in interrupt handlers: in the caller of a socket call, or in the
 * network's own thread, which handlers and timers wake. Kernel code is not preempted, so nothing here is locked.
 */
#include "internal.h"

enum { LOOPBACK_MAX = 1024, LOOPBACK_ROUND = 256, WORD_MAX = 64 };

struct network network;

static struct list loopback = LIST_INIT(loopback);
static u32 loopback_count;
static bool kicked;
static u64 next_timer = ~0UL;		/* not later than the first timer that is set */
static u64 charged;			/* bytes held for peers */
static struct wait_queue thread_waits = WAIT_QUEUE_INIT(thread_waits);
static struct wait_queue configured_waits = WAIT_QUEUE_INIT(configured_waits);
static struct process network_process;

/* An eighth of memory is for what is sent and received: no peer can have it all. */
bool memory_charge(u32 bytes)
{
	if (charged + bytes > pages_total() * PAGE_SIZE / 8)
		return false;
	charged += bytes;
	return true;
}
void memory_credit(u32 bytes) { charged -= bytes; }
bool memory_tight(void) { return charged > pages_total() * PAGE_SIZE / 16; }

bool is_own(u32 address) { return address >> 24 == 127 || (address == network.address && address); }
bool is_loopback(u32 address) { return is_own(address) || !network.device; }

void network_device_register(const struct network_device *device)
{
	if (!network.device)
		network.device = device;
}

/* From interrupt handlers too. The thread comes before the application goes on. */
void network_kick(void)
{
	kicked = true;
	wake_all(&thread_waits);
	set_need_resched();
}

void network_timer(u64 deadline)
{
	if (deadline < next_timer) {
		next_timer = deadline;
		wake_all(&thread_waits);
	}
}

/* The receiver sees it when the sender's call ends, network_settle(), else in the network's thread. */
void loopback_send(struct packet *packet)
{
	if (loopback_count >= LOOPBACK_MAX) {
		packet_free(packet);
		return;
	}
	loopback_count++;
	list_add_tail(&loopback, &packet->link);
	network_kick();
}

static void loopback_poll(void)
{
	for (int i = 0; i < LOOPBACK_ROUND && !list_empty(&loopback); i++) {
		struct packet *packet = list_entry(loopback.next, struct packet, link);
		list_remove(&packet->link);
		loopback_count--;
		ip_input(packet, true);
		packet_free(packet);
	}
}

void network_settle(void)
{
	if (!list_empty(&loopback))
		network_poll();
}

void network_poll(void)
{
	if (network.device)
		network.device->poll();
	loopback_poll();
	tcp_resume();
	u64 now = time_now();
	if (now >= next_timer) {
		next_timer = ~0UL;	/* what is set meanwhile counts too */
		u64 first = MIN(tcp_timers(now), dhcp_timer(now));
		next_timer = MIN(next_timer, first);
	}
}

NORETURN static void network_thread(void)
{
	for (;;) {
		kicked = false;
		network_poll();
		if (!list_empty(&loopback))
			kicked = true;
		u64 flags = irq_save();
		if (!kicked)
			wait_sleep(&thread_waits, next_timer == ~0UL ? 0 : next_timer);
		irq_restore(flags);
		if (kicked && !list_empty(&loopback))
			schedule();	/* whoever talks to itself does not keep others from running */
	}
}

/* The domain name servers, for the C library. The thread's process is at ring 0: its buffers may be the kernel's. */
static void write_resolver(const u32 *servers, u32 count)
{
	struct lookup at;
	struct inode *inode;
	struct file *file;
	if (!path_walk(root, "/etc", true, &at) && !at.inode)
		inode_make(&at, S_IFDIR | 0755, &inode);
	if (file_open("/etc/resolv.conf", O_WRONLY | O_CREAT | O_TRUNC, 0644, &file))
		return;
	for (u32 i = 0; i < count; i++) {
		char line[40];
		u32 a = servers[i];
		file_write(file, line, (size_t)snprintf(line, sizeof(line), "nameserver %u.%u.%u.%u\n", a >> 24,
							a >> 16 & 255, a >> 8 & 255, a & 255));
	}
	file_unref(file);
}

void network_configure(u32 address, u32 mask, u32 gateway, const u32 *servers, u32 count)
{
	network.address = address;
	network.mask = mask;
	network.gateway = gateway;
	network.configured = true;
#if CONFIG_DISK
	tree_lock();
#endif
	if (count)
		write_resolver(servers, count);
#if CONFIG_DISK
	tree_unlock();
#endif
	if (address)
		printk("ukl-kernel: network %u.%u.%u.%u/%d, gateway %u.%u.%u.%u\n", address >> 24, address >> 16 & 255,
		       address >> 8 & 255, address & 255, mask ? 32 - __builtin_ctz(mask) : 0, gateway >> 24,
		       gateway >> 16 & 255, gateway >> 8 & 255, gateway & 255);
	wake_all(&configured_waits);
}

/* A number of at most `most` at *at, which moves behind it. */
static bool number(const char **at, u32 most, u32 *value)
{
	const char *start = *at;
	for (*value = 0; **at >= '0' && **at <= '9' && *value <= most; ++*at)
		*value = *value * 10 + (u32)(**at - '0');
	return *at != start && *value <= most;
}

static bool dotted(const char **at, u32 *address)
{
	*address = 0;
	for (int i = 0; i < 4; i++) {
		u32 part;
		if ((i && *(*at)++ != '.') || !number(at, 255, &part))
			return false;
		*address = *address << 8 | part;
	}
	return true;
}

/* ADDRESS/BITS[,gw=ADDRESS][,dns=ADDRESS] */
static bool static_address(const char *at)
{
	u32 address, bits, gateway = 0, server = 0;
	if (!dotted(&at, &address) || *at++ != '/' || !number(&at, 32, &bits))
		return false;
	while (*at == ',') {
		bool gw = !strncmp(at, ",gw=", 4), dns = !strncmp(at, ",dns=", 5);
		at += gw ? 4 : 5;
		if ((!gw && !dns) || !dotted(&at, gw ? &gateway : &server))
			return false;
	}
	if (*at)
		return false;
	network_configure(address, bits ? ~0U << (32 - bits) : 0, gateway, &server, server ? 1 : 0);
	return true;
}

/* The last `ip=` before `--` counts; without one the address comes by DHCP. */
static void configure(const char *line)
{
	char word[WORD_MAX], setting[WORD_MAX] = "dhcp";
	while (*line) {
		size_t length = 0;
		for (; *line == ' '; line++)
			;
		for (; *line && *line != ' '; line++)
			if (length < WORD_MAX - 1)
				word[length++] = *line;
		word[length] = 0;
		if (!strcmp(word, "--"))
			break;
		if (!strncmp(word, "ip=", 3))
			strlcpy(setting, word + 3, sizeof(setting));
	}
	if (!network.device || !strcmp(setting, "off")) {
		network.configured = true;
	} else if (!strcmp(setting, "dhcp") || !static_address(setting)) {
		if (strcmp(setting, "dhcp"))
			printk("ukl-kernel: ip=%s: expected dhcp, off or ADDRESS/BITS[,gw=ADDRESS][,dns=ADDRESS]\n", setting);
		dhcp_start();
	}
}

static const char *first_command_line;
NORETURN static void network_begin(void)
{
#if CONFIG_SMP
	kernel_enter();
#endif
	configure(first_command_line);
	network_thread();
}

void network_init(const char *command_line)
{
	struct process *process = &network_process;
	process_init(process);
	strlcpy(process->name, "network", sizeof(process->name));
	process->ring0 = true;
	process->directory = root_directory();
	process->space = space_create();
	process->files = kmalloc(sizeof(struct files));
	struct thread *thread = thread_create(process, 0);
	if (!process->space || !process->files || !thread)
		panic(NULL, "no memory for the network's thread");
	first_command_line = command_line;
	struct registers registers;
	registers_init(&registers, true, (u64)network_begin, thread->kernel_stack_top - 1024 - 8);
	thread_prepare(thread, &registers);
	thread_ready(thread);
}

void network_wait_configured(void) { wait_event(&configured_waits, network.configured); }
