/** What the image prints wherever it runs: its own control register values, not the loader's. */
export const helloText = [
  "Hello from ring 0: this is the hello image of ukl-emu.",
  "CPL  0x0000000000000000",
  "CR0  0x0000000080010031",
  "CR3  0x0000000000110000",
  "CR4  0x0000000000000020",
  "EFER 0x0000000000000500",
  "Powering off.",
].join("\r\n");
