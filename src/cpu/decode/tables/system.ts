/**
 * System, privileged, far-transfer and input/output instructions. Nearly all are TypeScript helpers
 * (src/cpu/system), some with a staged form of their frequent cases; x87 goes whole to one helper that decodes on from the raw opcode and ModRM bytes.
 */

const x87 = ["D8", "D9", "DA", "DB", "DC", "DD", "DE", "DF"].flatMap((opcode) => [
  `${opcode} mem | X87 M | raw helper`,
  `${opcode} reg | X87 | raw helper modrm`,
]);

export const rows: readonly string[] = [
  // ---- x87 -------------------------------------------------------------------------------------------
  "9B | FWAIT | helper",
  ...x87,

  // ---- Segment registers ---------------------------------------------------------------------------------
  "07 | POP_SREG ES | i64 osize helper",
  "17 | POP_SREG SS | i64 osize helper",
  "1F | POP_SREG DS | i64 osize helper",
  "0F A1 | POP_SREG FS | d64 osize helper",
  "0F A9 | POP_SREG GS | d64 osize helper",
  "8E | MOV_TO_SREG Sw,Ew | helper",
  "C4 mem | LES Gv,Mp | i64 helper",
  "C5 mem | LDS Gv,Mp | i64 helper",
  "0F B2 mem | LSS Gv,Mp | helper",
  "0F B4 mem | LFS Gv,Mp | helper",
  "0F B5 mem | LGS Gv,Mp | helper",
  "63 | ARPL Ew,Gw | i64 protected helper",
  "0F 02 | LAR Gv,Ew | protected helper",
  "0F 03 | LSL Gv,Ew | protected helper",
  "0F 00 /4 | VERR Ew | protected helper",
  "0F 00 /5 | VERW Ew | protected helper",

  // ---- Far transfers, software interrupts ------------------------------------------------------------------
  "9A | CALL_FAR Ap | i64 helper end",
  "EA | JMP_FAR Ap | i64 helper end",
  "FF /3 mem | CALL_FAR Mp | helper end",
  "FF /5 mem | JMP_FAR Mp | helper end",
  "CA | RETF Iw | osize helper end",
  "CB | RETF | osize helper end",
  "CC | INT3 | helper end notrap",
  "CD | INT Ib | helper end notrap",
  "CE | INTO | i64 helper end tfafter",
  "CF | IRET | osize helper staged hot end",
  "F1 | INT1 | helper end notrap",
  "0F 05 | SYSCALL | o64 helper staged hot end tfafter",
  "0F 07 | SYSRET | o64 osize helper staged hot end tfafter",
  "0F 34 | SYSENTER | helper end",
  "0F 35 | SYSEXIT | osize helper end",

  // ---- Input and output ------------------------------------------------------------------------------------
  "E4 | IN_IMM AL,Ib | helper",
  "E5 | IN_IMM eAX,Ib | helper",
  "E6 | OUT_IMM Ib,AL | helper",
  "E7 | OUT_IMM Ib,eAX | helper",
  "EC | IN_DX AL,DX | helper",
  "ED | IN_DX eAX,DX | helper",
  "EE | OUT_DX DX,AL | helper",
  "EF | OUT_DX DX,eAX | helper",
  "6C | INS Yb,DX | rep helper",
  "6D | INS Yz,DX | rep helper",
  "6E | OUTS DX,Xb | rep helper",
  "6F | OUTS DX,Xz | rep helper",

  // ---- Descriptor tables, task register, machine status -----------------------------------------------------
  "0F 00 /0 | SLDT Ev | protected helper",
  "0F 00 /1 | STR Ev | protected helper",
  "0F 00 /2 | LLDT Ew | protected helper",
  "0F 00 /3 | LTR Ew | protected helper",
  "0F 01 /0 mem | SGDT M | f64 helper",
  "0F 01 /1 mem | SIDT M | f64 helper",
  "0F 01 /2 mem | LGDT M | f64 helper",
  "0F 01 /3 mem | LIDT M | f64 helper",
  "0F 01 /4 | SMSW Ev | helper",
  "0F 01 /6 | LMSW Ew | helper end",
  "0F 01 /7 mem | INVLPG Mb | helper end",
  "NP 0F 01 /1 reg rm=0 | MONITOR | asize helper +monitor",
  "NP 0F 01 /1 reg rm=1 | MWAIT | helper end +monitor",
  "NP 0F 01 /1 reg rm=2 | CLAC | helper staged hot +smap",
  "NP 0F 01 /1 reg rm=3 | STAC | helper staged hot +smap",
  "NP 0F 01 /2 reg rm=0 | XGETBV | helper +xsave",
  "NP 0F 01 /2 reg rm=1 | XSETBV | helper end +xsave",
  "NP 0F 01 /5 reg rm=6 | RDPKRU | helper +pku",
  "NP 0F 01 /5 reg rm=7 | WRPKRU | helper +pku",
  "0F 01 /7 reg rm=1 | RDTSCP | helper +rdtscp",

  // ---- Control and debug registers: ModRM.mod is ignored (SDM vol. 2, MOV) -----------------------------------
  // CR1 and CR5-CR7 do not exist: #UD at any privilege level.
  ...[0, 2, 3, 4].map((n) => `0F 20 /${n} | MOV_FROM_CR Rd,Cd | f64 modreg helper`),
  "0F 21 | MOV_FROM_DR Rd,Dd | f64 modreg helper",
  ...[0, 2, 3, 4].map((n) => `0F 22 /${n} | MOV_TO_CR Cd,Rd | f64 modreg helper end`),
  "0F 23 | MOV_TO_DR Dd,Rd | f64 modreg helper end",
  "0F 06 | CLTS | helper",

  // ---- Processor, caches, counters ------------------------------------------------------------------------
  "F4 | HLT | helper end",
  "0F 08 | INVD | helper",
  "0F 09 | WBINVD | helper",
  "0F 30 | WRMSR | helper end",
  "0F 31 | RDTSC | helper",
  "0F 32 | RDMSR | helper",
  "0F 33 | RDPMC | helper",
  "0F A2 | CPUID | helper",
  "0F AA | RSM | helper end",
  "66 0F38 82 mem | INVPCID Gy,Mdq | helper end +invpcid",
  "F3 0F C7 /7 reg | RDPID Ry | helper f64 +rdpid",
  ...["F2", "F3"].flatMap((p) => [`${p} 0F C7 /6 reg | UD2 | end`, `${p} 0F C7 /7 reg | UD2 | end`]),
  "0F C7 /6 reg | RDRAND Rv | helper +rdrand",
  "0F C7 /7 reg | RDSEED Rv | helper +rdseed",

  // ---- x87, SSE and extended state: NP rows; REX.W makes the 64-bit forms ---------------------------------------
  "NP 0F AE /0 mem | FXSAVE M | helper +fxsr",
  "NP 0F AE /1 mem | FXRSTOR M | helper +fxsr",
  "NP 0F AE /2 mem | LDMXCSR Md | helper +sse",
  "NP 0F AE /3 mem | STMXCSR Md | helper +sse",
  "NP 0F AE /4 mem | XSAVE M | helper +xsave",
  "NP 0F AE /5 mem | XRSTOR M | helper +xsave",
  "NP 0F AE /6 mem | XSAVEOPT M | helper +xsaveopt",
  "NP 0F C7 /3 mem | XRSTORS M | helper +xsaves",
  "NP 0F C7 /4 mem | XSAVEC M | helper +xsavec",
  "NP 0F C7 /5 mem | XSAVES M | helper +xsaves",
];
