/** SSE4.1 and SSE4.2 but for CRC32 and POPCNT (SDM vol. 1 12.6-12.10, vol. 2). */
export const rows: readonly string[] = [
  // Blends
  "66 0F38 10 | PBLENDVB Vdq,Wdq | +sse4_1",
  "66 0F38 14 | BLENDVPS Vps,Wps | +sse4_1",
  "66 0F38 15 | BLENDVPD Vpd,Wpd | +sse4_1",
  "66 0F3A 0C | BLENDPS Vps,Wps,Ib | +sse4_1",
  "66 0F3A 0D | BLENDPD Vpd,Wpd,Ib | +sse4_1",
  "66 0F3A 0E | PBLENDW Vdq,Wdq,Ib | +sse4_1",

  // Widening moves
  "66 0F38 20 | PMOVSXBW Vdq,Wq | +sse4_1",
  "66 0F38 21 | PMOVSXBD Vdq,Wd | +sse4_1",
  "66 0F38 22 | PMOVSXBQ Vdq,Ww | +sse4_1",
  "66 0F38 23 | PMOVSXWD Vdq,Wq | +sse4_1",
  "66 0F38 24 | PMOVSXWQ Vdq,Wd | +sse4_1",
  "66 0F38 25 | PMOVSXDQ Vdq,Wq | +sse4_1",
  "66 0F38 30 | PMOVZXBW Vdq,Wq | +sse4_1",
  "66 0F38 31 | PMOVZXBD Vdq,Wd | +sse4_1",
  "66 0F38 32 | PMOVZXBQ Vdq,Ww | +sse4_1",
  "66 0F38 33 | PMOVZXWD Vdq,Wq | +sse4_1",
  "66 0F38 34 | PMOVZXWQ Vdq,Wd | +sse4_1",
  "66 0F38 35 | PMOVZXDQ Vdq,Wq | +sse4_1",

  // Integer arithmetic and comparison
  "66 0F38 17 | PTEST Vdq,Wdq | +sse4_1",
  "66 0F38 28 | PMULDQ Vdq,Wdq | +sse4_1",
  "66 0F38 29 | PCMPEQQ Vdq,Wdq | +sse4_1",
  "66 0F38 2A mem | MOVNTDQA Vdq,Mdq | +sse4_1",
  "66 0F38 2B | PACKUSDW Vdq,Wdq | +sse4_1",
  "66 0F38 37 | PCMPGTQ Vdq,Wdq | +sse4_2",
  "66 0F38 38 | PMINSB Vdq,Wdq | +sse4_1",
  "66 0F38 39 | PMINSD Vdq,Wdq | +sse4_1",
  "66 0F38 3A | PMINUW Vdq,Wdq | +sse4_1",
  "66 0F38 3B | PMINUD Vdq,Wdq | +sse4_1",
  "66 0F38 3C | PMAXSB Vdq,Wdq | +sse4_1",
  "66 0F38 3D | PMAXSD Vdq,Wdq | +sse4_1",
  "66 0F38 3E | PMAXUW Vdq,Wdq | +sse4_1",
  "66 0F38 3F | PMAXUD Vdq,Wdq | +sse4_1",
  "66 0F38 40 | PMULLD Vdq,Wdq | +sse4_1",
  "66 0F38 41 | PHMINPOSUW Vdq,Wdq | +sse4_1",
  "66 0F3A 42 | MPSADBW Vdq,Wdq,Ib | +sse4_1",

  // Rounding and dot products
  "66 0F3A 08 | ROUNDPS Vps,Wps,Ib | +sse4_1",
  "66 0F3A 09 | ROUNDPD Vpd,Wpd,Ib | +sse4_1",
  "66 0F3A 0A | ROUNDSS Vss,Wss,Ib | +sse4_1",
  "66 0F3A 0B | ROUNDSD Vsd,Wsd,Ib | +sse4_1",
  "66 0F3A 40 | DPPS Vps,Wps,Ib | +sse4_1",
  "66 0F3A 41 | DPPD Vpd,Wpd,Ib | +sse4_1",

  // Inserts and extracts. A byte register operand is never AH and kin: it is named as a doubleword.
  "66 0F3A 14 reg | PEXTRB Rd,Vdq,Ib | +sse4_1",
  "66 0F3A 14 mem | PEXTRB Mb,Vdq,Ib | +sse4_1",
  "66 0F3A 15 reg | PEXTRW Rd,Vdq,Ib | +sse4_1",
  "66 0F3A 15 mem | PEXTRW Mw,Vdq,Ib | +sse4_1",
  "66 0F3A 16 | PEXTRD Ey,Vdq,Ib | +sse4_1",
  "66 0F3A 17 | EXTRACTPS Ed,Vdq,Ib | +sse4_1",
  "66 0F3A 20 reg | PINSRB Vdq,Rd,Ib | +sse4_1",
  "66 0F3A 20 mem | PINSRB Vdq,Mb,Ib | +sse4_1",
  "66 0F3A 21 | INSERTPS Vdq,Wss,Ib | +sse4_1",
  "66 0F3A 22 | PINSRD Vdq,Ey,Ib | +sse4_1",

  // String comparison: memory operands need no alignment
  "66 0F3A 60 | PCMPESTRM Vdq,Wdq,Ib | +sse4_2 unaligned osize",
  "66 0F3A 61 | PCMPESTRI Vdq,Wdq,Ib | +sse4_2 unaligned osize",
  "66 0F3A 62 | PCMPISTRM Vdq,Wdq,Ib | +sse4_2 unaligned osize",
  "66 0F3A 63 | PCMPISTRI Vdq,Wdq,Ib | +sse4_2 unaligned osize",
];
