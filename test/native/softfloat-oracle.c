/*
 * Runs floating-point instructions on the real processor for the tests of src/cpu/softfloat and src/cpu/x87.
 *
 *   softfloat-oracle sse < cases > results     records of 64 -> 64 bytes
 *   softfloat-oracle x87 < cases > results     records of 256 -> 256 bytes
 *
 * A record holds the instruction's own bytes; they are run between code that loads and stores the state. An
 * unmasked exception arrives as SIGFPE; the handler goes on behind the instruction and notes it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { MAX_CODE = 15, THUNK_SIZE = 128, BUCKETS = 8192 };

struct sse_case {
  uint32_t mxcsr;
  uint8_t code_length, code[11];
  uint8_t xmm0[16], xmm1[16];
  uint64_t rax, pad;
};
struct sse_result {
  uint8_t xmm0[16];
  uint64_t rax;
  uint32_t mxcsr, eflags, trapped;
  uint8_t pad[28];
};
struct x87_case {
  uint8_t image[108]; /* FRSTOR, 32-bit protected layout */
  uint8_t code_length, code[MAX_CODE];
  uint32_t pad;
  uint8_t memory[112]; /* at [RDX] */
  uint64_t eflags, rax;
};
struct x87_result {
  uint8_t image[108];
  uint32_t eflags;
  uint64_t rax;
  uint32_t trapped, pad;
  uint8_t memory[112];
  uint64_t pad2[2];
};

typedef void (*thunk_fn)(const void *in, void *out, void *memory);
struct thunk {
  uint8_t length, code[MAX_CODE];
  uint8_t *entry, *resume;
};

static struct thunk thunks[BUCKETS];
static uint8_t *arena, *arena_end;
static uint8_t *volatile resume_at;
static volatile uint32_t trapped;

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)info;
  ucontext_t *uc = context;
  if (!resume_at) _exit(3);
  trapped = (uint32_t)number;
  uc->uc_mcontext.gregs[REG_RIP] = (greg_t)resume_at;
}

static uint8_t *emit(uint8_t *p, const void *bytes, size_t n) {
  memcpy(p, bytes, n);
  return p + n;
}
#define EMIT(p, ...) emit(p, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static uint8_t *emit_sse(struct thunk *t, uint8_t *p) {
  p = EMIT(p, 0x0f, 0xae, 0x17);             /* ldmxcsr [rdi] */
  p = EMIT(p, 0x0f, 0x10, 0x47, 0x10);       /* movups xmm0, [rdi+16] */
  p = EMIT(p, 0x0f, 0x10, 0x4f, 0x20);       /* movups xmm1, [rdi+32] */
  p = EMIT(p, 0x48, 0x8b, 0x47, 0x30);       /* mov rax, [rdi+48] */
  p = emit(p, t->code, t->length);
  t->resume = p;
  p = EMIT(p, 0x0f, 0x11, 0x06);             /* movups [rsi], xmm0 */
  p = EMIT(p, 0x48, 0x89, 0x46, 0x10);       /* mov [rsi+16], rax */
  p = EMIT(p, 0x0f, 0xae, 0x5e, 0x18);       /* stmxcsr [rsi+24] */
  p = EMIT(p, 0x9c, 0x59, 0x89, 0x4e, 0x1c); /* pushfq; pop rcx; mov [rsi+28], ecx */
  return EMIT(p, 0xc3);
}

static uint8_t *emit_x87(struct thunk *t, uint8_t *p) {
  p = EMIT(p, 0xdd, 0x27);                               /* frstor [rdi] */
  p = EMIT(p, 0x48, 0x8b, 0x87, 0xf8, 0, 0, 0);          /* mov rax, [rdi+248] */
  p = EMIT(p, 0xff, 0xb7, 0xf0, 0, 0, 0, 0x9d);          /* push [rdi+240]; popfq */
  p = emit(p, t->code, t->length);
  t->resume = p;
  p = EMIT(p, 0xdd, 0x36);                               /* fnsave [rsi] */
  p = EMIT(p, 0x48, 0x89, 0x46, 0x70);                   /* mov [rsi+112], rax */
  p = EMIT(p, 0x9c, 0x59, 0x89, 0x4e, 0x6c);             /* pushfq; pop rcx; mov [rsi+108], ecx */
  return EMIT(p, 0xc3);
}

static struct thunk *find(const uint8_t *code, uint8_t length, int x87) {
  uint32_t hash = 2166136261u;
  if (length > MAX_CODE) exit(2);
  for (int i = 0; i < length; i++) hash = (hash ^ code[i]) * 16777619u;
  for (uint32_t i = hash % BUCKETS;; i = (i + 1) % BUCKETS) {
    struct thunk *t = &thunks[i];
    if (t->entry && t->length == length && !memcmp(t->code, code, length)) return t;
    if (t->entry) continue;
    if (arena + THUNK_SIZE > arena_end) exit(2);
    t->length = length;
    memcpy(t->code, code, length);
    t->entry = arena;
    arena = x87 ? emit_x87(t, arena) : emit_sse(t, arena);
    return t;
  }
}

static void run(struct thunk *t, const void *in, void *out, void *memory) {
  static const uint32_t quiet = 0x1f80;
  trapped = 0;
  resume_at = t->resume;
  ((thunk_fn)(uintptr_t)t->entry)(in, out, memory);
  resume_at = 0;
  __asm__ volatile("ldmxcsr %0" ::"m"(quiet));
}

static int run_sse(void) {
  struct sse_case in;
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    struct sse_result out = {0};
    run(find(in.code, in.code_length, 0), &in, &out, 0);
    out.trapped = trapped;
    if (fwrite(&out, sizeof out, 1, stdout) != 1) return 1;
  }
  return 0;
}

static int run_x87(void) {
  struct x87_case in;
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    struct x87_result out = {0};
    memcpy(out.memory, in.memory, sizeof out.memory);
    run(find(in.code, in.code_length, 1), &in, &out, out.memory);
    out.trapped = trapped;
    if (fwrite(&out, sizeof out, 1, stdout) != 1) return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  _Static_assert(sizeof(struct sse_case) == 64 && sizeof(struct sse_result) == 64, "record size");
  _Static_assert(sizeof(struct x87_case) == 256 && sizeof(struct x87_result) == 256, "record size");
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGFPE, &action, 0);
  sigaction(SIGILL, &action, 0);
  sigaction(SIGSEGV, &action, 0);
  arena = mmap(0, BUCKETS * THUNK_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (arena == MAP_FAILED || argc != 2) return 2;
  arena_end = arena + BUCKETS * THUNK_SIZE;
  return strcmp(argv[1], "x87") ? run_sse() : run_x87();
}
