/*
 * The native runner: executes single instructions on the host processor with a given state and reports the
 * state after. One case costs one signal and one rt_sigreturn:
 *
 *   rt_sigreturn loads GPRs, RFLAGS, CS:RIP, SS:RSP and the FXSAVE state of the case;
 *   the instruction runs; its own fault, or the INT3 that follows it, or the single-step trap raises a signal;
 *   the handler reads the state from the signal frame, writes the result, puts the next case in the frame.
 *
 * Code windows hold INT3 wherever a case writes nothing, so a branch ends a case as well. Ending by INT3 is
 * preferred to RFLAGS.TF because hypervisors intercept #DB (KVM on AMD always does), at thrice the cost.
 *
 * The program is freestanding and position independent: no TLS (cases change FS), nothing below 4 GB but the
 * windows the driver asks for, so that 32-bit addresses of a case cannot reach the runner itself.
 */
#include "runner.h"
#include "system.h"

extern void on_signal(void);
extern void restorer(void);

/* Processor time after which a case that has not ended is given up as hung: between one and two ticks. */
enum { TICK_MICROSECONDS = 50000 };
enum { IN_BYTES = 1 << 20, OUT_BYTES = 1 << 20, STACK_BYTES = 1 << 16 };

/* A window and its three other views: the writable alias, the content it starts with, the content the
 * running case started with (content plus the case's patches). */
struct view {
  u64 address, size;
  u32 protection;
  u8 *alias, *content, *expected;
};

static struct view views[MAX_WINDOWS];
static u32 view_count;
static u8 default_fx[FX_IMAGE];
static u8 *in_buffer, *out_buffer;
static u64 in_start, in_end, out_end;
static const struct test_case *current;
static u8 current_case[sizeof(struct test_case) + FX_IMAGE] __attribute__((aligned(16)));
static struct patch patched[MAX_PATCHES];
static u32 patched_count;
static u64 sequence, sequence_at_tick;

static void die(const char *message) {
  u64 length = 0;
  while (message[length]) length++;
  system3(SYS_write, 2, (u64)message, length);
  system3(SYS_write, 2, (u64)"\n", 1);
  system1(SYS_exit_group, 3);
}

void *memcpy(void *to, const void *from, u64 n) {
  void *result = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
  return result;
}

void *memset(void *to, int value, u64 n) {
  void *result = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
  return result;
}

/* ---- input and output ---- */

static void flush(void) {
  for (u64 done = 0; done < out_end;) {
    i64 n = system3(SYS_write, 1, (u64)out_buffer + done, out_end - done);
    if (n == -EINTR) continue;
    if (n <= 0) system1(SYS_exit_group, 0);
    done += n;
  }
  out_end = 0;
}

/* Makes at least `need` bytes available at in_buffer + in_start; ends the process at end of input. */
static void need_input(u64 need) {
  if (in_end - in_start >= need) return;
  flush();
  if (in_start) {
    u64 left = in_end - in_start;
    for (u64 i = 0; i < left; i++) in_buffer[i] = in_buffer[in_start + i];
    in_start = 0;
    in_end = left;
  }
  while (in_end < need) {
    i64 n = system3(SYS_read, 0, (u64)in_buffer + in_end, IN_BYTES - in_end);
    if (n == -EINTR) continue;
    if (n <= 0) system1(SYS_exit_group, in_end ? 4 : 0);
    in_end += n;
  }
}

static void take(void *to, u64 n) {
  for (u8 *out = to; n;) {
    u64 part = n < 4096 ? n : 4096;
    need_input(part);
    memcpy(out, in_buffer + in_start, part);
    in_start += part;
    out += part;
    n -= part;
  }
}

static void put(const void *from, u64 n) {
  memcpy(out_buffer + out_end, from, n);
  out_end += n;
}

/* ---- windows ---- */

static struct view *view_at(u64 address) {
  for (u32 i = 0; i < view_count; i++)
    if (address - views[i].address < views[i].size) return &views[i];
  return 0;
}

static void *reserve(u64 size) {
  i64 p = system6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p < 0 && p > -4096) die("runner: mmap failed");
  return (void *)p;
}

static void map_window(const struct window *w) {
  struct view *v = &views[view_count++];
  i64 fd = system2(SYS_memfd_create, (u64)"window", 0);
  if (fd < 0 || system2(SYS_ftruncate, fd, w->size) < 0) die("runner: memfd_create failed");
  u64 protection = (w->protection & WINDOW_READ ? PROT_READ : 0) |
                   (w->protection & WINDOW_WRITE ? PROT_WRITE : 0) |
                   (w->protection & WINDOW_EXECUTE ? PROT_EXEC : 0);
  i64 at = system6(SYS_mmap, w->address, w->size, protection, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd, 0);
  if (at != (i64)w->address) die("runner: a memory window cannot be mapped at its address");
  i64 alias = system6(SYS_mmap, 0, w->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (alias < 0 && alias > -4096) die("runner: mmap of a window's alias failed");
  v->address = w->address;
  v->size = w->size;
  v->protection = w->protection;
  v->alias = (u8 *)alias;
  v->content = reserve(w->size);
  v->expected = reserve(w->size);
  system1(SYS_close, fd);
  take(v->content, w->size);
  memcpy(v->expected, v->content, w->size);
  memcpy(v->alias, v->content, w->size);
  /* Page-fault error codes tell whether a page is present: keep all of them so (a refusal is no failure). */
  system2(SYS_mlock, w->address, w->size);
}

/* Writes to a window on the driver's behalf, whatever its protection; bytes outside any window are dropped. */
static void poke(u64 address, const u8 *bytes, u32 length) {
  for (u32 i = 0; i < length; i++) {
    struct view *v = view_at(address + i);
    if (!v) continue;
    u64 offset = address + i - v->address;
    v->alias[offset] = v->expected[offset] = bytes[i];
  }
}

static void unpoke(u64 address, u32 length) {
  for (u32 i = 0; i < length; i++) {
    struct view *v = view_at(address + i);
    if (!v) continue;
    u64 offset = address + i - v->address;
    v->alias[offset] = v->expected[offset] = v->content[offset];
  }
}

/* Appends the changed quadwords of every writable window, joined into runs, and puts the old content back. */
static u32 report_changes(void) {
  u32 runs = 0;
  for (u32 i = 0; i < view_count; i++) {
    struct view *v = &views[i];
    if (!(v->protection & WINDOW_WRITE)) continue;
    u64 *now = (u64 *)v->alias, *before = (u64 *)v->expected;
    u64 count = v->size / 8;
    for (u64 q = 0; q < count;) {
      if (!(q & 7) && !((now[q] ^ before[q]) | (now[q + 1] ^ before[q + 1]) | (now[q + 2] ^ before[q + 2]) |
                        (now[q + 3] ^ before[q + 3]) | (now[q + 4] ^ before[q + 4]) | (now[q + 5] ^ before[q + 5]) |
                        (now[q + 6] ^ before[q + 6]) | (now[q + 7] ^ before[q + 7]))) {
        q += 8;
        continue;
      }
      if (now[q] == before[q]) {
        q++;
        continue;
      }
      u64 first = q;
      while (q < count && now[q] != before[q]) q++;
      struct patch run = {v->address + first * 8, (q - first) * 8, 0};
      put(&run, sizeof run);
      put(now + first, run.length);
      memcpy(now + first, before + first, run.length);
      if (++runs == 255) die("runner: one instruction changed memory in more than 255 places");
    }
  }
  return runs;
}

/* ---- one case ---- */

/* Linux reports user accesses from the last page of the canonical lower half upwards as protection violations,
 * whatever the page tables hold (sanitize_error_code in arch/x86/mm/fault.c). Undo that: nothing is mapped
 * there. */
static u64 page_fault_error(u64 error_code, u64 address) {
  return address >= 0x7ffffffff000 ? error_code & ~1ul : error_code;
}

static void report(const struct siginfo *info, const struct ucontext *context) {
  const struct sigcontext *m = &context->mcontext;
  u64 start = out_end;
  struct result *r = (struct result *)(out_buffer + out_end);
  out_end += sizeof *r;
  u16 ds, es, fs, gs;
  __asm__ volatile("mov %%ds, %0" : "=r"(ds));
  __asm__ volatile("mov %%es, %0" : "=r"(es));
  __asm__ volatile("mov %%fs, %0" : "=r"(fs));
  __asm__ volatile("mov %%gs, %0" : "=r"(gs));
  __asm__ volatile("rdfsbase %0" : "=r"(r->fs_base));
  __asm__ volatile("rdgsbase %0" : "=r"(r->gs_base));
  r->flags = 0;
  r->reserved[0] = r->reserved[1] = 0;
  r->selector[0] = es;
  r->selector[1] = m->cs;
  r->selector[2] = m->ss;
  r->selector[3] = ds;
  r->selector[4] = fs;
  r->selector[5] = gs;
  r->rip = m->rip;
  r->rflags = m->eflags;
  r->vector = info->signal == SIGPROF ? VECTOR_HUNG : m->trapno;
  r->error_code = m->err;
  r->cr2 = 0;
  if (r->vector == VECTOR_HUNG) {
    r->error_code = 0;
  } else if (m->trapno == VECTOR_PF) {
    r->cr2 = m->cr2;
    r->error_code = page_fault_error(m->err, m->cr2);
  } else if (m->trapno == VECTOR_DB && info->code == TRAP_TRACE) {
    r->vector = VECTOR_COMPLETED;
  } else if (m->trapno == VECTOR_BP && m->rip - 1 - current->rip >= current->byte_count) {
    r->vector = VECTOR_COMPLETED; /* an INT3 of the filler, not of the case */
    r->rip--;
  }
  r->gpr[0] = m->rax;
  r->gpr[1] = m->rcx;
  r->gpr[2] = m->rdx;
  r->gpr[3] = m->rbx;
  r->gpr[4] = m->rsp;
  r->gpr[5] = m->rbp;
  r->gpr[6] = m->rsi;
  r->gpr[7] = m->rdi;
  for (int i = 0; i < 8; i++) r->gpr[8 + i] = m->r8_15[i];

  u64 *fx = m->fpstate;
  fx[3] = (u32)fx[3] | (u64)MXCSR_MASK << 32;
  const u64 *fx_before = (const u64 *)(current->flags & CASE_HAS_FX ? (const u8 *)(current + 1) : default_fx);
  u64 differs = 0;
  for (int i = 0; i < FX_BYTES / 8; i++) differs |= fx[i] ^ fx_before[i];
  if (differs) {
    r->flags |= RESULT_HAS_FX;
    put(fx, FX_BYTES);
    memset(out_buffer + out_end, 0, FX_IMAGE - FX_BYTES);
    out_end += FX_IMAGE - FX_BYTES;
  }
  r->run_count = report_changes();
  r->size = out_end - start;

  unpoke(current->code_address, current->byte_count);
  for (u32 i = 0; i < patched_count; i++) unpoke(patched[i].address, patched[i].length);
  patched_count = 0;
}

/* Reads the next case and puts it into the signal frame. Returns RFLAGS for the rt_sigreturn call itself. */
static u64 load(struct ucontext *context) {
  struct sigcontext *m = &context->mcontext;
  need_input(8);
  u64 size = *(const u32 *)(in_buffer + in_start);
  if (size < sizeof(struct test_case) || size > IN_BYTES || size % 8) die("runner: malformed case record");
  need_input(size);
  const u8 *record = in_buffer + in_start;
  in_start += size;
  const struct test_case *c = (const struct test_case *)record;
  u64 head = sizeof *c + (c->flags & CASE_HAS_FX ? FX_IMAGE : 0);
  if (c->byte_count > sizeof c->bytes || c->patch_count > MAX_PATCHES || head > size) die("runner: malformed case");
  memcpy(current_case, record, head);
  current = c = (const struct test_case *)current_case;

  poke(c->code_address, c->bytes, c->byte_count);
  for (u64 at = head; patched_count < c->patch_count;) {
    const struct patch *p = (const struct patch *)(record + at);
    if (at + sizeof *p > size || at + sizeof *p + p->length > size) die("runner: malformed patch");
    poke(p->address, (const u8 *)(p + 1), p->length);
    patched[patched_count++] = *p;
    at += sizeof *p + ((p->length + 7) & ~7u);
  }

  sequence++;
  m->rax = c->gpr[0];
  m->rcx = c->gpr[1];
  m->rdx = c->gpr[2];
  m->rbx = c->gpr[3];
  m->rsp = c->gpr[4];
  m->rbp = c->gpr[5];
  m->rsi = c->gpr[6];
  m->rdi = c->gpr[7];
  for (int i = 0; i < 8; i++) m->r8_15[i] = c->gpr[8 + i];
  m->rip = c->rip;
  m->eflags = c->rflags;
  m->cs = c->selector[1];
  m->ss = c->selector[2];
  context->flags |= UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;

  u64 *fx = (u64 *)m->fpstate;
  const u64 *image = (const u64 *)(c->flags & CASE_HAS_FX ? (const u8 *)(c + 1) : default_fx);
  for (int i = 0; i < FX_BYTES / 8; i++) fx[i] = image[i];
  fx[FX_IMAGE / 8] = 3; /* XSTATE_BV: x87 and SSE from this frame, everything else in its initial state */

  __asm__ volatile("mov %0, %%es" : : "r"((u32)c->selector[0]));
  __asm__ volatile("mov %0, %%ds" : : "r"((u32)c->selector[3]));
  __asm__ volatile("mov %0, %%fs" : : "r"((u32)c->selector[4]));
  __asm__ volatile("mov %0, %%gs" : : "r"((u32)c->selector[5]));
  if (c->flags & CASE_MODE64) {
    __asm__ volatile("wrfsbase %0" : : "r"(c->fs_base));
    __asm__ volatile("wrgsbase %0" : : "r"(c->gs_base));
  }
  return (c->rflags & (RFLAGS_NT | RFLAGS_ID)) | 2;
}

u64 runner_signal(int signal, struct siginfo *info, struct ucontext *context) {
  if (signal == SIGPROF && sequence != sequence_at_tick) {
    /* The case that a timer tick interrupted has not run for a whole tick yet: let it go on. */
    sequence_at_tick = sequence;
    return (context->mcontext.eflags & (RFLAGS_NT | RFLAGS_ID)) | 2;
  }
  if (current) report(info, context);
  if (out_end > OUT_BYTES / 2) flush();
  return load(context);
}

/* ---- set-up ---- */

static void install_handlers(void) {
  static const u8 signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGPROF};
  struct stack stack = {reserve(STACK_BYTES), 0, STACK_BYTES};
  if (system2(SYS_sigaltstack, (u64)&stack, 0) < 0) die("runner: sigaltstack failed");
  struct action action = {(u64)on_signal, SA_SIGINFO | SA_ONSTACK | SA_RESTORER, (u64)restorer, ~0ul};
  for (u32 i = 0; i < sizeof signals; i++)
    if (system4(SYS_rt_sigaction, signals[i], (u64)&action, 0, 8) < 0) die("runner: rt_sigaction failed");
  struct timer timer = {0, TICK_MICROSECONDS, 0, TICK_MICROSECONDS};
  if (system3(SYS_setitimer, ITIMER_PROF, (u64)&timer, 0) < 0) die("runner: setitimer failed");
}

/* The limit of Linux's GDT entry 15 tells the processor's number. Where 0 is not allowed, that limit differs. */
static void stay_on_processor_0(void) {
  u64 mask = 1;
  system3(SYS_sched_setaffinity, 0, sizeof mask, (u64)&mask);
}

void runner_main(void) {
  stay_on_processor_0();
  in_buffer = reserve(IN_BYTES);
  out_buffer = reserve(OUT_BYTES);
  struct hello hello;
  take(&hello, sizeof hello);
  if (hello.magic != HELLO_MAGIC || hello.windows > MAX_WINDOWS) die("runner: malformed hello");
  for (u32 i = 0; i < hello.descriptors; i++) {
    struct descriptor d;
    take(&d, sizeof d);
    if (system3(SYS_modify_ldt, 1, (u64)&d, sizeof d) < 0) die("runner: modify_ldt is refused by this kernel");
  }
  take(default_fx, FX_IMAGE);
  for (u32 i = 0; i < hello.windows; i++) {
    struct window w;
    take(&w, sizeof w);
    map_window(&w);
  }
  install_handlers();
  put(&hello, sizeof hello); /* the driver waits for this echo: set-up succeeded */
  flush();
  __asm__ volatile("ud2");
}
