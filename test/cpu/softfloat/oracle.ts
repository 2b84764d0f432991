/** The real processor as a judge: builds test/native/softfloat-oracle.c and runs batches of cases on it. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SOURCE = new URL("../../native/softfloat-oracle.c", import.meta.url).pathname;

/** One scalar SSE instruction: operands are XMM0 (also the destination), XMM1 and RAX. */
export interface SseCase {
  readonly code: readonly number[];
  readonly mxcsr: number;
  readonly xmm0: bigint;
  readonly xmm1: bigint;
  readonly rax?: bigint;
}

/** `low` and `high` are the halves of XMM0; `trapped` is true after #XM. */
export interface SseResult {
  readonly low: bigint;
  readonly high: bigint;
  readonly rax: bigint;
  readonly mxcsr: number;
  readonly eflags: number;
  readonly trapped: boolean;
}

/** One x87 instruction: the FRSTOR image before it, the memory at [RDX], EFLAGS and RAX. */
export interface X87Case {
  readonly code: readonly number[];
  readonly image: Uint8Array;
  readonly memory?: Uint8Array;
  readonly eflags?: number;
  readonly rax?: bigint;
}

export interface X87Result {
  readonly image: Uint8Array;
  readonly memory: Uint8Array;
  readonly eflags: number;
  readonly rax: bigint;
  readonly trapped: boolean;
}

/** Batches are cut so that neither pipe buffer nor a stack of results grows without bound. */
const BATCH = 65536;

/** /proc/cpuinfo, or nothing where there is none. */
export function cpuInfo(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
}

export class Oracle {
  readonly program: string;

  private constructor(program: string) {
    this.program = program;
  }

  /** Builds the oracle; a string says why it cannot be had on this host. */
  static build(): Oracle | string {
    if (process.arch !== "x64" || process.platform !== "linux") return "host is not x86-64 Linux";
    const directory = mkdtempSync(join(tmpdir(), "softfloat-"));
    process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
    const program = join(directory, "oracle");
    const built = spawnSync("gcc", ["-O1", "-o", program, SOURCE], { encoding: "utf8" });
    if (built.error) return "no gcc";
    if (built.status !== 0) throw new Error(`softfloat-oracle.c does not compile: ${built.stderr}`);
    return new Oracle(program);
  }

  /**
   * As build, for what the manuals leave open and the emulator does as AMD's processors do (condition codes
   * after faults, unmasked denormals, last places).
   */
  static buildAmd(): Oracle | string {
    return /AuthenticAMD/.test(cpuInfo()) ? Oracle.build() : "host processor is not AMD's";
  }

  private execute(mode: "sse" | "x87", input: Buffer): Buffer {
    const run = spawnSync(this.program, [mode], { input, maxBuffer: input.length + 4096 });
    if (run.status !== 0 || run.stdout.length !== input.length) {
      throw new Error(`oracle ended with ${run.status ?? run.signal} after ${run.stdout.length} bytes`);
    }
    return run.stdout;
  }

  sse(cases: readonly SseCase[]): SseResult[] {
    const results: SseResult[] = [];
    for (let start = 0; start < cases.length; start += BATCH) {
      const batch = cases.slice(start, start + BATCH);
      const input = Buffer.alloc(batch.length * 64);
      batch.forEach((c, i) => {
        const at = i * 64;
        input.writeUInt32LE(c.mxcsr, at);
        input[at + 4] = c.code.length;
        input.set(c.code, at + 5);
        input.writeBigUInt64LE(c.xmm0 & 0xffffffffffffffffn, at + 16);
        input.writeBigUInt64LE(c.xmm0 >> 64n, at + 24);
        input.writeBigUInt64LE(c.xmm1 & 0xffffffffffffffffn, at + 32);
        input.writeBigUInt64LE(c.xmm1 >> 64n, at + 40);
        input.writeBigUInt64LE(c.rax ?? 0n, at + 48);
      });
      const output = this.execute("sse", input);
      for (let at = 0; at < output.length; at += 64) {
        results.push({
          low: output.readBigUInt64LE(at),
          high: output.readBigUInt64LE(at + 8),
          rax: output.readBigUInt64LE(at + 16),
          mxcsr: output.readUInt32LE(at + 24),
          eflags: output.readUInt32LE(at + 28),
          trapped: output.readUInt32LE(at + 32) !== 0,
        });
      }
    }
    return results;
  }

  x87(cases: readonly X87Case[]): X87Result[] {
    const results: X87Result[] = [];
    for (let start = 0; start < cases.length; start += BATCH) {
      const batch = cases.slice(start, start + BATCH);
      const input = Buffer.alloc(batch.length * 256);
      batch.forEach((c, i) => {
        const at = i * 256;
        input.set(c.image, at);
        input[at + 108] = c.code.length;
        input.set(c.code, at + 109);
        if (c.memory) input.set(c.memory, at + 128);
        input.writeBigUInt64LE(BigInt(c.eflags ?? 2), at + 240);
        input.writeBigUInt64LE(c.rax ?? 0n, at + 248);
      });
      const output = this.execute("x87", input);
      for (let at = 0; at < output.length; at += 256) {
        results.push({
          image: output.subarray(at, at + 108),
          memory: output.subarray(at + 128, at + 240),
          eflags: output.readUInt32LE(at + 108),
          rax: output.readBigUInt64LE(at + 112),
          trapped: output.readUInt32LE(at + 120) !== 0,
        });
      }
    }
    return results;
  }
}
