/** Condition codes of Jcc, SETcc, CMOVcc in the order of their encodings (SDM vol. 1 appendix B). */
export const CONDITIONS = [
  "O",
  "NO",
  "B",
  "NB",
  "Z",
  "NZ",
  "BE",
  "NBE",
  "S",
  "NS",
  "P",
  "NP",
  "L",
  "NL",
  "LE",
  "NLE",
] as const;
