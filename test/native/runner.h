/*
 * The wire format between the conformance driver (test/conformance/wire.ts) and the native runner.
 * Every record is little endian and a multiple of 8 bytes long. What each field means to a test stands in
 * test/conformance/case.ts; here only the shapes.
 */
#ifndef RUNNER_H
#define RUNNER_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef int i32;
typedef long i64;

#define HELLO_MAGIC 0x30464e43u /* "CNF0" */

enum { MAX_WINDOWS = 16, MAX_PATCHES = 16, FX_BYTES = 464, FX_IMAGE = 512 };
/* MXCSR_MASK as reported: a constant of the processor, not part of a case's state. */
enum { MXCSR_MASK = 0xffff };
enum { WINDOW_READ = 1, WINDOW_WRITE = 2, WINDOW_EXECUTE = 4 };

/* Sent once, first: the memory windows, the LDT and the FXSAVE image used when a case brings none. */
struct hello {
  u32 magic, windows, descriptors, reserved;
  /* then `descriptors` times struct descriptor, FX_IMAGE bytes, `windows` times struct window + content */
};

struct window {
  u64 address, size;
  u32 protection, reserved;
};

/* One LDT descriptor in modify_ldt's terms; see struct user_desc in <asm/ldt.h>. */
struct descriptor {
  u32 entry, base, limit, flags;
};

enum { CASE_HAS_FX = 1, CASE_MODE64 = 2 };

struct test_case {
  u32 size, flags;
  u64 code_address; /* linear address of the first instruction byte */
  u8 byte_count, patch_count, reserved[2];
  u16 selector[6]; /* ES CS SS DS FS GS: the encoding order of Sreg */
  u8 bytes[32];
  u64 rip, rflags, fs_base, gs_base;
  u64 gpr[16]; /* the encoding order: RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
  /* then, if CASE_HAS_FX, FX_IMAGE bytes; then patch_count times struct patch + data padded to 8 */
};

struct patch {
  u64 address;
  u32 length, reserved;
};

enum { RESULT_HAS_FX = 1 };
enum { VECTOR_HUNG = 0xfe, VECTOR_COMPLETED = 0xff };

struct result {
  u32 size, flags;
  u8 vector, run_count, reserved[2];
  u16 selector[6];
  u64 error_code, cr2, rip, rflags, fs_base, gs_base;
  u64 gpr[16];
  /* then, if RESULT_HAS_FX, FX_IMAGE bytes; then run_count times struct patch + data: changed quadwords */
};

#endif
