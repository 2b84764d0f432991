/** Exception vectors by the manual's mnemonics (SDM vol. 3A table 6-1). */
const EXCEPTIONS = [
  ...["#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "coprocessor segment overrun"],
  ...["#TS", "#NP", "#SS", "#GP", "#PF", "vector 15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"],
];

/** E.g. `#PF`; vectors without a mnemonic by number. */
export function exceptionName(vector: number): string {
  return EXCEPTIONS[vector] ?? `vector ${vector}`;
}
