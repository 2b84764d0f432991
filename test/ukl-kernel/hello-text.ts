/** What images/hello.bin prints wherever it runs. */
export const helloText = [
  "ukl-kernel: ukl",
  "Hello from ring 0: this is process 1.",
  "The kernel calls itself Linux on x86_64.",
].join("\r\n");
