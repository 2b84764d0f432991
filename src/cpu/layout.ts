/**
 * Where everything that emitted code touches lies in the one WebAssembly memory. This is the only file with
 * such offsets; TypeScript reads the same bytes through `CpuState`.
 *
 *     0                 unused page: host address 0 means "no address"
 *     CPU_BLOCKS        one CPU_STRIDE per processor: state, TLBs, jump cache
 *     RECORDS           decoded instructions (src/cpu/decode/record.ts), and as much again for what they cost
 *                       (src/cpu/cost.ts): never touched without a timing model
 *     RAM               guest RAM
 */

export const MAX_CPUS = 16;
export const CPU_BLOCKS = 0x1_0000;
export const CPU_STRIDE = 0x2_0000;
export const RECORDS = CPU_BLOCKS + MAX_CPUS * CPU_STRIDE;
export const RECORDS_SIZE = 0x0300_0000;
/** From a record to what it costs. */
export const COST_OF_RECORD = RECORDS_SIZE;
/** Host address of guest RAM; page-aligned. */
export const RAM = (RECORDS + RECORDS_SIZE + COST_OF_RECORD + 0xffff) & ~0xffff;

/** Address of a processor's block. */
export function cpuBlock(index: number): number {
  return CPU_BLOCKS + index * CPU_STRIDE;
}

// ---- One processor's block: offsets from its base ----------------------------------------------------

/** General registers in the order of their encodings, 8 bytes each; AH is byte 1 of RAX, and so on. */
export const GPR = 0x000;
/** Always zero: the base or index of an address that has none. */
export const ZERO = 0x080;
/** i64: CS.base in 16- and 32-bit code, 0 in 64-bit code: RIP + this = linear address. */
export const CODE_BASE = 0x3f0;
/** Constant 0x1_0000: an index register for RIP-relative displacements that leave the range of i32. */
export const CONST_10000 = 0x3f8;
/** RIP of the current instruction, exact whenever emitted code is not running. */
export const RIP = 0x088;
/**
 * What has to be added to an instruction's offset in its page to get its RIP: the linear address of the
 * page, less CS.base.
 */
export const RIP_PAGE = 0x090;

/** Lazy status flags, see `semantics/flags.ts`. */
export const FLAGS_RESULT = 0x098;
export const FLAGS_CARRY = 0x0a0;
export const FLAGS_PARITY = 0x0a8;
/** RFLAGS without the six status flags: TF, IF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID. Bit 1 is set. */
export const FLAGS_SYSTEM = 0x0ac;

/** i64: low 12 bits of every TLB tag that is valid now (translation context and generation). */
export const TLB_KEY = 0x0b0;
/** Bits of TLB_KEY that hold the context of accesses: CPL = 3, SMAP, alignment check (`src/mmu/paging.ts`). */
export const TLB_KEY_CONTEXT = 3;
/** i32: what a jump-cache entry's key must equal (generation, CPL, code-segment mode). */
export const JUMP_KEY = 0x0b8;
/** Bit of JUMP_KEY: CPL = 3. */
export const JUMP_KEY_USER = 1 << 6;
/** i32: current privilege level. */
export const CPL = 0x0bc;
/**
 * i32: instructions left in this slice, with a timing model cost units (`src/cpu/cost.ts`); checked at the end
 * of each block. TypeScript may lower it any time.
 */
export const BUDGET = 0x0c0;
/** i32: the record being executed, valid whenever emitted code has left or called out. */
export const CURRENT_RECORD = 0x0c4;
/** i32: non-zero asks instructions that may open the interrupt window to leave for the run loop. */
export const PENDING = 0x0c8;
/** i32: address of the link field of the direct branch that left to be chained (`Exit.CHAIN`). */
export const CHAIN_LINK = 0x0cc;
/** i32: decode mode of the current code segment, `src/cpu/modes.ts`. */
export const MODE = 0x0d0;
/** i32: bits of the interrupt shadow: `Shadow`. */
export const SHADOW = 0x0d4;
/** i32s: the fault that emitted code or a helper reports by `Exit.FAULT`. */
export const FAULT_VECTOR = 0x0d8;
export const FAULT_ERROR = 0x0dc;
/** i32: processor number. */
export const CPU_INDEX = 0x0e0;
/** i32: non-zero when a memory operand was assembled in SCRATCH and must be written back by `commit`. */
export const SCRATCH_PENDING = 0x0e4;
/** i64: argument or result of a helper that needs 64 bits. */
export const HELPER_VALUE = 0x0e8;
export const HELPER_VALUE2 = 0x0f0;
/** Host address returned for operands that cross a page or lie in MMIO: 64 bytes. */
export const SCRATCH = 0x100;

/** Segment registers in the order ES CS SS DS FS GS, then LDTR and TR; see SEGMENT_* for the fields. */
export const SEGMENTS = 0x140;
export const SEGMENT_STRIDE = 32;
/** i32, the visible selector. */
export const SEGMENT_SELECTOR = 0;
/** i32: descriptor bits 40-55 in place: type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15; see `segmentation`. */
export const SEGMENT_ATTRIBUTES = 4;
/** i64. */
export const SEGMENT_BASE = 8;
/** u32, inclusive, granularity applied. */
export const SEGMENT_LIMIT = 16;
/** i32: non-zero while the register holds a null selector or an unusable descriptor. */
export const SEGMENT_NULL = 20;

export const GDTR_BASE = 0x240;
export const GDTR_LIMIT = 0x248;
export const IDTR_BASE = 0x250;
export const IDTR_LIMIT = 0x258;

export const CR0 = 0x260;
export const CR2 = 0x268;
export const CR3 = 0x270;
export const CR4 = 0x278;
export const XCR0 = 0x280;
export const EFER = 0x288;
/** DR0-DR7, 8 bytes each. */
export const DR = 0x290;

export const MSR_STAR = 0x2d0;
export const MSR_LSTAR = 0x2d8;
export const MSR_CSTAR = 0x2e0;
export const MSR_FMASK = 0x2e8;
export const MSR_KERNEL_GS_BASE = 0x2f0;
export const MSR_SYSENTER_CS = 0x2f8;
export const MSR_SYSENTER_ESP = 0x300;
export const MSR_SYSENTER_EIP = 0x308;
export const MSR_TSC_AUX = 0x310;
export const MSR_PAT = 0x318;
export const MSR_XSS = 0x320;
export const PKRU = 0x328;
/** i32: `RingControl`: what emitted code may do when rings change. */
export const RING_CONTROL = 0x368;
/** With a timing model only. i32: instructions of this slice so far; BUDGET does not tell them then. */
export const SLICE_INSTRUCTIONS = 0x370;
/** With a timing model only. v128: set of the figures that what was executed has cost. */
export const COST_FIGURES = 0x380;
/** i64: the interrupt shadow of STI covers the instruction at this RIP only. */
export const SHADOW_RIP = 0x330;

/** i32 */
export const MXCSR = 0x338;
/** x87: control, status (TOP inside), tag word (full 16 bits, physical order), opcode: i32 each. */
export const FCW = 0x340;
export const FSW = 0x344;
export const FTW = 0x348;
export const FOP = 0x34c;
/** x87 last instruction and data pointers: i64 offset, i32 selector. */
export const FIP = 0x350;
export const FDP = 0x358;
export const FCS = 0x360;
export const FDS = 0x364;

/** XMM/YMM registers, 32 bytes each, 16 of them. */
export const XMM = 0x400;
export const XMM_STRIDE = 32;
/** x87 registers R0-R7 in physical order, 16 bytes each (10 used); MMX aliases the significands. */
export const X87 = 0x600;
export const X87_STRIDE = 16;

/** Software TLBs: TLB_ENTRIES entries of 16 bytes: tag i64, addend i32, attributes i32. */
export const TLB_ENTRIES = 1024;
export const TLB_READ = 0x1000;
export const TLB_WRITE = 0x5000;
export const TLB_EXECUTE = 0x9000;
export const TLB_ENTRY_SIZE = 16;
export const TLB_ADDEND = 8;
export const TLB_ATTRIBUTES = 12;

/** Virtual jump cache: JUMP_ENTRIES entries of 16 bytes: RIP i64, key i32, record i32. */
export const JUMP_CACHE = 0x1_0000;
export const JUMP_ENTRIES = 4096;

/** Fields that only TypeScript touches (`system/cold-state.ts`); a snapshot keeps the block up to their end. */
export const COLD_STATE = 0x700;
/** The ends of the last blocks (`branch-ring.ts`). */
export const BRANCH_STATE = 0xd000;

/** Indices into SEGMENTS. */
export const Segment = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5, LDTR: 6, TR: 7 } as const;

/** Why emitted code returned to the run loop. */
export const Exit = {
  /** The budget is spent; RIP is the next instruction. */
  BUDGET: 0,
  /** FAULT_VECTOR and FAULT_ERROR describe an exception of CURRENT_RECORD's instruction. */
  FAULT: 1,
  /** RIP is not in the jump cache. */
  LOOKUP: 2,
  /** As LOOKUP, and the link at CHAIN_LINK may be set to the record found when it lies in the same page. */
  CHAIN: 3,
  /** RIP is the next instruction; the run loop must look at pending events, modes and shadows first. */
  EVENT: 4,
  /** CURRENT_RECORD stands before the record of a watched instruction, which has not begun. */
  WATCH: 5,
} as const;

/** Bits of SHADOW. */
export const Shadow = { STI: 1, MOV_SS: 2 } as const;

/** Bits of RING_CONTROL; whatever changes one of them calls `modeChanged`, which works them out. */
export const RingControl = {
  /** Nobody wants to be told of ring transitions. */
  UNOBSERVED: 1 << 0,
  /** CR4.SMAP, where TLB_KEY has the context that it makes. */
  SMAP: 1 << 1,
  /** IA32_EFER.SCE */
  SCE: 1 << 2,
  /** CR0.AM, where RFLAGS has AC. */
  AM: 1 << 18,
} as const;
