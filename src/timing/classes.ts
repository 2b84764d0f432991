/**
 * Which figures an instruction form costs. A form costs the largest of its figures, since an instruction's parts
 * go to different execution units: ADD with a memory source takes as long as the load.
 */
import { CONDITIONS } from "../cpu/decode/conditions.ts";
import { type Form, operandWidth } from "../cpu/semantics/stage.ts";
import type { InstructionFigure } from "./figures.ts";

const words = (text: string) => text.split(/\s+/).filter(Boolean);
const byCondition = (prefix: string) => CONDITIONS.map((name) => prefix + name).join(" ");

/** Mnemonics of the decode tables whose operands in registers cost one figure. */
const MNEMONICS: Readonly<Partial<Record<InstructionFigure, string>>> = {
  alu: "ADD OR AND SUB XOR CMP TEST INC DEC NEG NOT LEA CBW CWD ANDN BLSR BLSMSK BLSI BEXTR BZHI",
  move: "MOV MOVSXD MOVZX MOVSX MOVBE MOVNTI",
  nop: "NOP PAUSE",
  carry: "ADC SBB ADCX ADOX",
  shift: "BSWAP RORX",
  "shift-cl": "SHLX SARX SHRX",
  "rotate-carry": "RCL RCR",
  "shift-double": "SHLD SHRD",
  "bit-test": "BT BTS BTR BTC",
  "bit-scan": "TZCNT BSF LZCNT BSR POPCNT CRC32 PDEP PEXT",
  conditional: `${byCondition("CMOV")} ${byCondition("SET")}`,
  multiply: "MULX",
  "multiply-wide": "MUL",
  branch: byCondition("J"),
  loop: "LOOP LOOPE LOOPNE JRCXZ",
  call: "CALL",
  ret: "RET",
  push: "PUSH PUSH_SREG",
  pop: "POP",
  leave: "LEAVE",
  "stack-frame": "ENTER PUSHA POPA",
  exchange: "XCHG",
  "compare-exchange": "CMPXCHG XADD CMPXCHG8B CMPXCHG16B",
  string: "MOVS CMPS STOS LODS SCAS",
  flags: "CLC STC CMC LAHF SAHF",
  direction: "CLD STD",
  pushf: "PUSHF",
  popf: "POPF",
  cli: "CLI",
  sti: "STI",
  mfence: "MFENCE",
  lfence: "LFENCE",
  sfence: "SFENCE",
  "cache-line": "CLFLUSH CLFLUSHOPT CLWB",
  wbinvd: "WBINVD INVD",
  rdtsc: "RDTSC",
  counter: "RDTSCP RDPMC RDPID",
  cpuid: "CPUID",
  rdmsr: "RDMSR",
  wrmsr: "WRMSR",
  random: "RDRAND RDSEED",
  invlpg: "INVLPG",
  invpcid: "INVPCID",
  "load-table": "LGDT LIDT",
  "load-task": "LLDT LTR",
  "store-table": "SGDT SIDT SLDT STR SMSW",
  "read-cr": "MOV_FROM_CR",
  "write-cr": "LMSW CLTS XSETBV",
  "debug-register": "MOV_FROM_DR MOV_TO_DR",
  swapgs: "SWAPGS",
  "segment-base": "RDFSBASE RDGSBASE WRFSBASE WRGSBASE",
  "access-flag": "STAC CLAC",
  verw: "VERW",
  "segment-check": "VERR LAR LSL ARPL",
  "load-segment": "MOV_TO_SREG POP_SREG LES LDS LSS LFS LGS",
  halt: "HLT MONITOR MWAIT",
  port: "IN_IMM IN_DX OUT_IMM OUT_DX INS OUTS",
  syscall: "SYSCALL",
  sysret: "SYSRET",
  sysenter: "SYSENTER",
  sysexit: "SYSEXIT",
  state: "FXSAVE FXRSTOR XSAVE XRSTOR XSAVEOPT XRSTORS XSAVEC XSAVES",
  "state-control": "LDMXCSR STMXCSR XGETBV RDPKRU WRPKRU EMMS",
  legacy: "DAA DAS AAA AAS AAM AAD SALC XLAT BOUND",
  undefined: "UD0 UD1 UD2 RSM",
  "vector-move": `MOVQ MOVNTQ MOVUPS MOVSS MOVAPS MOVNTPS MOVUPD MOVSD MOVAPD MOVNTPD MOVDQA MOVDQU MOVNTDQ MOVNTDQA
    LDDQU MASKMOVQ MASKMOVDQU`,
  "vector-integer": `PCMPGTB PCMPGTW PCMPGTD PCMPGTQ PCMPEQB PCMPEQW PCMPEQD PCMPEQQ PSRLW PSRAW PSLLW PSRLD PSRAD
    PSLLD PSRLQ PSLLQ PADDQ PSUBUSB PSUBUSW PAND PADDUSB PADDUSW PANDN PSUBSB PSUBSW POR PADDSB PADDSW PXOR PSUBB
    PSUBW PSUBD PSUBQ PADDB PADDW PADDD PMINUB PMAXUB PAVGB PAVGW PMINSW PMAXSW PSIGNB PSIGNW PSIGND PABSB PABSW
    PABSD PMINSB PMINSD PMINUW PMINUD PMAXSB PMAXSD PMAXUW PMAXUD ANDPS ANDNPS ORPS XORPS ANDPD ANDNPD ORPD XORPD
    PTEST`,
  "vector-shuffle": `PUNPCKLBW PUNPCKLWD PUNPCKLDQ PUNPCKHBW PUNPCKHWD PUNPCKHDQ PACKSSWB PACKUSWB PACKSSDW PACKUSDW
    PSHUFW PSHUFB PALIGNR MOVHLPS MOVLPS MOVLHPS MOVHPS MOVLPD MOVHPD UNPCKLPS UNPCKHPS SHUFPS UNPCKLPD UNPCKHPD
    SHUFPD PUNPCKLQDQ PUNPCKHQDQ PSHUFD PSHUFHW PSHUFLW PSRLDQ PSLLDQ MOVDDUP MOVSLDUP MOVSHDUP PBLENDVB BLENDVPS
    BLENDVPD BLENDPS BLENDPD PBLENDW PMOVSXBW PMOVSXBD PMOVSXBQ PMOVSXWD PMOVSXWQ PMOVSXDQ PMOVZXBW PMOVZXBD
    PMOVZXBQ PMOVZXWD PMOVZXWQ PMOVZXDQ INSERTPS`,
  "vector-multiply": "PMULLW PMULHW PMULUDQ PMADDWD PMULHUW PMADDUBSW PMULHRSW PMULDQ PMULLD PSADBW",
  "vector-transfer": `MOVD PMOVMSKB PINSRW PEXTRW MOVMSKPS MOVMSKPD MOVQ2DQ MOVDQ2Q PEXTRB PEXTRD EXTRACTPS PINSRB
    PINSRD`,
  "vector-horizontal": `PHADDW PHADDD PHADDSW PHSUBW PHSUBD PHSUBSW HADDPD HADDPS HSUBPD HSUBPS PHMINPOSUW MPSADBW`,
  "vector-string": "PCMPESTRM PCMPESTRI PCMPISTRM PCMPISTRI",
  "float-add": `ADDPS ADDSS SUBPS SUBSS MINPS MINSS MAXPS MAXSS CMPPS CMPSS ADDPD ADDSD SUBPD SUBSD MINPD MINSD MAXPD
    MAXSD CMPPD CMPSD ADDSUBPD ADDSUBPS`,
  "float-multiply": "MULPS MULSS MULPD MULSD",
  "float-divide": "DIVPS DIVSS SQRTPS SQRTSS",
  "float-divide-double": "DIVPD DIVSD SQRTPD SQRTSD",
  "float-convert": `CVTPI2PS CVTSI2SS CVTTPS2PI CVTTSS2SI CVTPS2PI CVTSS2SI CVTPI2PD CVTSI2SD CVTTPD2PI CVTTSD2SI
    CVTPD2PI CVTSD2SI CVTPS2PD CVTPD2PS CVTSS2SD CVTSD2SS CVTDQ2PS CVTPS2DQ CVTTPS2DQ CVTTPD2DQ CVTDQ2PD CVTPD2DQ
    ROUNDPS ROUNDPD ROUNDSS ROUNDSD`,
  "float-compare": "UCOMISS COMISS UCOMISD COMISD RSQRTPS RSQRTSS RCPPS RCPSS",
  "float-dot": "DPPS DPPD",
  "x87-control": "FWAIT",
};

const FIGURE_OF = new Map<string, InstructionFigure>(
  Object.entries(MNEMONICS).flatMap(([figure, names]) =>
    words(names).map((name) => [name, figure as InstructionFigure] as const),
  ),
);

/** What these cost is charged where it happens: whether CPL changes, and what CR3 is loaded with, decides it. */
const CHARGED = new Set(words("INT INT1 INT3 INTO IRET CALL_FAR JMP_FAR RETF"));

/** Their memory operand, if any, is an address only, or belongs to the figure. */
const NO_ACCESS = new Set(
  words(`LEA NOP INVLPG CLFLUSH CLFLUSHOPT CLWB ${MNEMONICS.state} CMPXCHG8B CMPXCHG16B`),
);
/** They write the first operand without reading it; of others that is an update, */
const WRITES = new Set(
  words(`${MNEMONICS.move} ${MNEMONICS["vector-move"]} ${MNEMONICS["store-table"]} ${byCondition("SET")} POP STMXCSR
    MOVD MOVLPS MOVHPS MOVLPD MOVHPD PEXTRB PEXTRW PEXTRD EXTRACTPS STOS`),
);
/** except for these, which only read it. */
const READS = new Set(
  words(`CMP TEST BT PUSH CALL JMP MUL IMUL DIV IDIV LDMXCSR VERR VERW LLDT LTR LMSW LGDT LIDT BOUND MOV_TO_SREG
    INVPCID MASKMOVQ MASKMOVDQU X87 ${MNEMONICS["float-compare"]} PTEST`),
);

const DIVIDE = { 1: "divide.8", 2: "divide.16", 4: "divide.32", 8: "divide.64" } as const;
const SHIFTS = new Set(words("ROL ROR SHL SHR SAR"));

/** D8-DF and ModRM (SDM vol. 2 appendix A.5). */
function x87Figure(opcode: number, modrm: number): InstructionFigure {
  const digit = (modrm >> 3) & 7;
  const register = modrm >= 0xc0;
  const arithmetic = (): InstructionFigure =>
    digit === 1 ? "x87-multiply" : digit >= 6 ? "x87-divide" : "x87-add";
  switch (opcode) {
    case 0xd8:
    case 0xdc:
    case 0xde:
      return arithmetic();
    case 0xd9:
      if (!register) return digit >= 4 ? "x87-control" : "x87-move";
      if (modrm === 0xfa) return "x87-divide";
      // FDECSTP and FINCSTP are the two between.
      if (modrm >= 0xf0 && modrm !== 0xf6 && modrm !== 0xf7) return "x87-transcendental";
      return modrm === 0xe4 || modrm === 0xe5 ? "x87-add" : "x87-move";
    case 0xda:
      return register ? "x87-add" : arithmetic();
    case 0xdb:
      if (!register) return "x87-move";
      return digit === 4 ? "x87-control" : "x87-add";
    case 0xdd:
      if (!register) return digit >= 4 ? "x87-control" : "x87-move";
      return digit >= 4 ? "x87-add" : "x87-move";
    default:
      if (!register) return digit === 4 || digit === 6 ? "x87-transcendental" : "x87-move";
      return digit >= 5 ? "x87-add" : "x87-control";
  }
}

/** The figure of the operation itself, or null where all is charged. */
function operationFigure(form: Form, detail: number): InstructionFigure | null {
  const { mnemonic, operands, opcodeRegister } = form.row;
  const first = operands[0];
  if (CHARGED.has(mnemonic)) return null;
  if (form.repeat !== "" && MNEMONICS.string!.includes(mnemonic)) return null;
  // CR3 is charged by what it is loaded with.
  if (mnemonic === "MOV_TO_CR") return detail === 3 ? null : "write-cr";
  if (mnemonic === "X87") return x87Figure(detail & 0xff, detail >> 8);
  if (mnemonic === "JMP") return first?.kind === "J" ? "branch" : "branch-indirect";
  if (mnemonic === "IMUL" && operands.length > 1) return "multiply";
  if (mnemonic === "IMUL") return "multiply-wide";
  if (mnemonic === "DIV" || mnemonic === "IDIV") {
    return DIVIDE[operandWidth(first!, form.operandSize) as keyof typeof DIVIDE];
  }
  if (SHIFTS.has(mnemonic)) return operands[1]!.text === "CL" ? "shift-cl" : "shift";
  // 90 without REX.B is NOP (SDM vol. 2, NOP).
  if (mnemonic === "XCHG" && opcodeRegister && detail === 0) return "nop";
  const figure = FIGURE_OF.get(mnemonic);
  if (figure === undefined) throw new Error(`no timing class of ${mnemonic} (${form.row.text})`);
  return figure;
}

/** The access of an explicit memory operand, or null. */
function accessFigure(form: Form): InstructionFigure | null {
  const { mnemonic, operands } = form.row;
  const at = operands.findIndex((o) => (form.memory && "EWQM".includes(o.kind)) || o.kind === "O");
  if (at < 0 || NO_ACCESS.has(mnemonic)) return null;
  if (at > 0 || READS.has(mnemonic)) return "load";
  if (WRITES.has(mnemonic)) return "store";
  return "update";
}

/**
 * The figures that executing a form costs, the largest of which counts; none where everything is charged.
 * @param locked a LOCK prefix
 * @param detail as `CostModel.ofForm` has it
 */
export function figuresOfForm(form: Form, locked: boolean, detail: number): InstructionFigure[] {
  const operation = operationFigure(form, detail);
  if (operation === null) return [];
  // XCHG with memory locks without being told (SDM vol. 2, XCHG).
  if (locked || (form.row.mnemonic === "XCHG" && form.memory)) return ["locked"];
  const access = accessFigure(form);
  return access === null ? [operation] : [operation, access];
}
