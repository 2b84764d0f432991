/**
 * General-purpose instructions of the maps 0F, 0F38 and 0F3A, and their VEX-encoded relatives (BMI1, BMI2).
 * SDM vol. 2 appendix A, tables.
 *
 * F3 0F BC and F3 0F BD are BSF and BSR where BMI1 and LZCNT are absent: the row of the newer instruction
 * comes first, the row without a prefix fits all others.
 */
import { CONDITIONS } from "../conditions.ts";

/** One row for each condition code, whose number is the low half of the opcode. */
function conditional(high: string, row: (name: string) => string): string[] {
  return CONDITIONS.map((name, i) => `0F ${high}${i.toString(16).toUpperCase()} | ${row(name)}`);
}

export const rows: readonly string[] = [
  // Without ModRM, as AMD and, for UD0, older Intel processors have them (SDM vol. 2, UD).
  "0F 0B | UD2 | end",
  "0F B9 | UD1 | end",
  "0F FF | UD0 | end",

  // ---- Hints: prefetches, NOP with an address, ENDBR (F3 0F 1E FA) where CET is off ----------------------
  "0F 0D | NOP | modrm",
  "0F 18 | NOP | modrm",
  "0F 19 | NOP | modrm",
  "0F 1A | NOP | modrm",
  "0F 1B | NOP | modrm",
  "0F 1C | NOP | modrm",
  "0F 1D | NOP | modrm",
  "0F 1E | NOP | modrm hot",
  "0F 1F | NOP | modrm hot",
  "NP 0F AE /5 reg | LFENCE | hot",
  "NP 0F AE /6 reg | MFENCE | hot",
  "NP 0F AE /7 reg | SFENCE | hot",
  "NP 0F AE /7 mem | CLFLUSH Mb",
  "66 0F AE /7 mem | CLFLUSHOPT Mb | +clflushopt",
  "66 0F AE /6 mem | CLWB Mb | +clwb",

  // ---- Conditions ------------------------------------------------------------------------------------
  ...conditional("4", (name) => `CMOV${name} Gv,Ev | hot`),
  ...conditional("8", (name) => `J${name} Jz | f64 end hot`),
  ...conditional("9", (name) => `SET${name} Eb | hot`),

  // ---- Segment registers on the stack ------------------------------------------------------------------
  "0F A0 | PUSH_SREG FS | d64 osize",
  "0F A8 | PUSH_SREG GS | d64 osize",

  // ---- Bits ------------------------------------------------------------------------------------------
  "0F A3 | BT Ev,Gv | hot u=OSAP",
  "0F AB | BTS Ev,Gv | lock hot u=OSAP",
  "0F B3 | BTR Ev,Gv | lock hot u=OSAP",
  "0F BB | BTC Ev,Gv | lock u=OSAP",
  "0F BA /4 | BT Ev,Ib | hot u=OSAP",
  "0F BA /5 | BTS Ev,Ib | lock hot u=OSAP",
  "0F BA /6 | BTR Ev,Ib | lock hot u=OSAP",
  "0F BA /7 | BTC Ev,Ib | lock u=OSAP",
  "F3 0F BC | TZCNT Gv,Ev | hot +bmi1 u=OSAP",
  "0F BC | BSF Gv,Ev | hot u=OSAPC",
  "F3 0F BD | LZCNT Gv,Ev | +lzcnt u=OSAP",
  "0F BD | BSR Gv,Ev | hot u=OSAPC",
  "F3 0F B8 | POPCNT Gv,Ev | hot +popcnt",

  // ---- Shifts of two registers -------------------------------------------------------------------------
  "0F A4 | SHLD Ev,Gv,Ib | u=OA",
  "0F A5 | SHLD Ev,Gv,CL | u=OA",
  "0F AC | SHRD Ev,Gv,Ib | u=OA",
  "0F AD | SHRD Ev,Gv,CL | u=OA",

  // ---- Multiplication, moves -----------------------------------------------------------------------------
  "0F AF | IMUL Gv,Ev | hot u=SZAP",
  "0F B6 | MOVZX Gv,Eb | hot",
  "0F B7 | MOVZX Gv,Ew | hot",
  "0F BE | MOVSX Gv,Eb | hot",
  "0F BF | MOVSX Gv,Ew | hot",
  "0F C8+r | BSWAP Zv | hot",

  // ---- Atomic exchanges ----------------------------------------------------------------------------------
  "0F B0 | CMPXCHG Eb,Gb | lock",
  "0F B1 | CMPXCHG Ev,Gv | lock hot",
  "0F C0 | XADD Eb,Gb | lock",
  "0F C1 | XADD Ev,Gv | lock hot",
  "W1 0F C7 /1 mem | CMPXCHG16B Mdq | lock +cx16",
  "0F C7 /1 mem | CMPXCHG8B Mq | lock",

  // ---- CRC-32 and MOVBE share opcodes; additions with separate carries ------------------------------------------
  "F2 0F38 F0 | CRC32 Gy,Eb | +sse4_2",
  "F2 0F38 F1 | CRC32 Gy,Ev | +sse4_2",
  "F2 0F38 F0 | UD2 Gy,Ey | end",
  "F2 0F38 F1 | UD2 Gy,Ey | end",
  "F3 0F38 F0 | UD2 Gy,Ey | end",
  "F3 0F38 F1 | UD2 Gy,Ey | end",
  "0F38 F0 mem | MOVBE Gv,Mv | +movbe",
  "0F38 F1 mem | MOVBE Mv,Gv | +movbe",
  "66 0F38 F6 | ADCX Gy,Ey | +adx",
  "F3 0F38 F6 | ADOX Gy,Ey | +adx",

  // ---- FS and GS bases -----------------------------------------------------------------------------------
  "F3 0F AE /0 reg | RDFSBASE Ry | o64 +fsgsbase",
  "F3 0F AE /1 reg | RDGSBASE Ry | o64 +fsgsbase",
  "F3 0F AE /2 reg | WRFSBASE Ry | o64 +fsgsbase",
  "F3 0F AE /3 reg | WRGSBASE Ry | o64 +fsgsbase",
  "0F 01 /7 reg rm=0 | SWAPGS | o64 cpl0 hot",

  // ---- BMI1, BMI2 ------------------------------------------------------------------------------------------
  "NP VEX.L0 0F38 F2 | ANDN Gy,By,Ey | protected +bmi1 u=AP",
  "NP VEX.L0 0F38 F3 /1 | BLSR By,Ey | protected +bmi1 u=AP",
  "NP VEX.L0 0F38 F3 /2 | BLSMSK By,Ey | protected +bmi1 u=AP",
  "NP VEX.L0 0F38 F3 /3 | BLSI By,Ey | protected +bmi1 u=AP",
  "NP VEX.L0 0F38 F7 | BEXTR Gy,Ey,By | protected +bmi1 u=SAP",
  "NP VEX.L0 0F38 F5 | BZHI Gy,Ey,By | protected +bmi2 u=AP",
  "F3 VEX.L0 0F38 F5 | PEXT Gy,By,Ey | protected +bmi2",
  "F2 VEX.L0 0F38 F5 | PDEP Gy,By,Ey | protected +bmi2",
  "F2 VEX.L0 0F38 F6 | MULX Gy,By,Ey | protected +bmi2",
  "66 VEX.L0 0F38 F7 | SHLX Gy,Ey,By | protected +bmi2",
  "F3 VEX.L0 0F38 F7 | SARX Gy,Ey,By | protected +bmi2",
  "F2 VEX.L0 0F38 F7 | SHRX Gy,Ey,By | protected +bmi2",
  "F2 VEX.L0 0F3A F0 | RORX Gy,Ey,Ib | protected +bmi2",
];
