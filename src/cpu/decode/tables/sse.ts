/**
 * SSE (SDM vol. 1 chapter 10, vol. 2). Memory operands of 16 bytes are aligned unless the row says otherwise;
 * scalar and 8-byte ones need not be.
 */
export const rows: readonly string[] = [
  // Moves
  "NP 0F 10 | MOVUPS Vps,Wps | +sse unaligned hot",
  "NP 0F 11 | MOVUPS Wps,Vps | +sse unaligned hot",
  "F3 0F 10 reg | MOVSS Vss,Uss | +sse",
  "F3 0F 10 mem | MOVSS Vss,Md | +sse",
  "F3 0F 11 | MOVSS Wss,Vss | +sse",
  "NP 0F 12 reg | MOVHLPS Vq,Udq | +sse",
  "NP 0F 12 mem | MOVLPS Vq,Mq | +sse",
  "NP 0F 13 mem | MOVLPS Mq,Vq | +sse",
  "NP 0F 16 reg | MOVLHPS Vdq,Uq | +sse",
  "NP 0F 16 mem | MOVHPS Vdq,Mq | +sse",
  "NP 0F 17 mem | MOVHPS Mq,Vdq | +sse",
  "NP 0F 28 | MOVAPS Vps,Wps | +sse hot",
  "NP 0F 29 | MOVAPS Wps,Vps | +sse hot",
  "NP 0F 2B mem | MOVNTPS Mdq,Vps | +sse",
  "NP 0F 50 reg | MOVMSKPS Gd,Ups | +sse",

  // Shuffles
  "NP 0F 14 | UNPCKLPS Vps,Wps | +sse",
  "NP 0F 15 | UNPCKHPS Vps,Wps | +sse",
  "NP 0F C6 | SHUFPS Vps,Wps,Ib | +sse",

  // Logic
  "NP 0F 54 | ANDPS Vps,Wps | +sse",
  "NP 0F 55 | ANDNPS Vps,Wps | +sse",
  "NP 0F 56 | ORPS Vps,Wps | +sse",
  "NP 0F 57 | XORPS Vps,Wps | +sse",

  // Arithmetic
  "NP 0F 51 | SQRTPS Vps,Wps | +sse",
  "F3 0F 51 | SQRTSS Vss,Wss | +sse",
  "NP 0F 52 | RSQRTPS Vps,Wps | +sse",
  "F3 0F 52 | RSQRTSS Vss,Wss | +sse",
  "NP 0F 53 | RCPPS Vps,Wps | +sse",
  "F3 0F 53 | RCPSS Vss,Wss | +sse",
  "NP 0F 58 | ADDPS Vps,Wps | +sse",
  "F3 0F 58 | ADDSS Vss,Wss | +sse",
  "NP 0F 59 | MULPS Vps,Wps | +sse",
  "F3 0F 59 | MULSS Vss,Wss | +sse",
  "NP 0F 5C | SUBPS Vps,Wps | +sse",
  "F3 0F 5C | SUBSS Vss,Wss | +sse",
  "NP 0F 5D | MINPS Vps,Wps | +sse",
  "F3 0F 5D | MINSS Vss,Wss | +sse",
  "NP 0F 5E | DIVPS Vps,Wps | +sse",
  "F3 0F 5E | DIVSS Vss,Wss | +sse",
  "NP 0F 5F | MAXPS Vps,Wps | +sse",
  "F3 0F 5F | MAXSS Vss,Wss | +sse",

  // Comparison
  "NP 0F 2E | UCOMISS Vss,Wss | +sse",
  "NP 0F 2F | COMISS Vss,Wss | +sse",
  "NP 0F C2 | CMPPS Vps,Wps,Ib | +sse",
  "F3 0F C2 | CMPSS Vss,Wss,Ib | +sse",

  // Conversion
  "NP 0F 2A | CVTPI2PS Vq,Qq | +sse",
  "F3 0F 2A | CVTSI2SS Vss,Ey | +sse",
  "NP 0F 2C | CVTTPS2PI Pq,Wq | +sse",
  "F3 0F 2C | CVTTSS2SI Gy,Wss | +sse",
  "NP 0F 2D | CVTPS2PI Pq,Wq | +sse",
  "F3 0F 2D | CVTSS2SI Gy,Wss | +sse",
];
