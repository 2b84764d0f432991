/** SSE3 and SSSE3 on XMM registers (SDM vol. 1 chapter 12, vol. 2); SSSE3's MMX forms are in `mmx.ts`. */
export const rows: readonly string[] = [
  // SSE3
  "F2 0F 12 | MOVDDUP Vdq,Wq | +sse3",
  "F3 0F 12 | MOVSLDUP Vdq,Wdq | +sse3",
  "F3 0F 16 | MOVSHDUP Vdq,Wdq | +sse3",
  "F2 0F F0 mem | LDDQU Vdq,Mdq | +sse3 unaligned",
  "66 0F 7C | HADDPD Vpd,Wpd | +sse3",
  "F2 0F 7C | HADDPS Vps,Wps | +sse3",
  "66 0F 7D | HSUBPD Vpd,Wpd | +sse3",
  "F2 0F 7D | HSUBPS Vps,Wps | +sse3",
  "66 0F D0 | ADDSUBPD Vpd,Wpd | +sse3",
  "F2 0F D0 | ADDSUBPS Vps,Wps | +sse3",

  // SSSE3
  "66 0F38 00 | PSHUFB Vdq,Wdq | +ssse3",
  "66 0F38 01 | PHADDW Vdq,Wdq | +ssse3",
  "66 0F38 02 | PHADDD Vdq,Wdq | +ssse3",
  "66 0F38 03 | PHADDSW Vdq,Wdq | +ssse3",
  "66 0F38 04 | PMADDUBSW Vdq,Wdq | +ssse3",
  "66 0F38 05 | PHSUBW Vdq,Wdq | +ssse3",
  "66 0F38 06 | PHSUBD Vdq,Wdq | +ssse3",
  "66 0F38 07 | PHSUBSW Vdq,Wdq | +ssse3",
  "66 0F38 08 | PSIGNB Vdq,Wdq | +ssse3",
  "66 0F38 09 | PSIGNW Vdq,Wdq | +ssse3",
  "66 0F38 0A | PSIGND Vdq,Wdq | +ssse3",
  "66 0F38 0B | PMULHRSW Vdq,Wdq | +ssse3",
  "66 0F38 1C | PABSB Vdq,Wdq | +ssse3",
  "66 0F38 1D | PABSW Vdq,Wdq | +ssse3",
  "66 0F38 1E | PABSD Vdq,Wdq | +ssse3",
  "66 0F3A 0F | PALIGNR Vdq,Wdq,Ib | +ssse3",
];
