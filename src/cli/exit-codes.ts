/** What the process tells its caller. The README's table is made of these. */
export const ExitCode = {
  /** Powered off, or `--expect` met. */
  SUCCESS: 0,
  /** An error of the emulator itself; or the guest ended before `--expect` was met. */
  FAILURE: 1,
  /** The image, another file or an option cannot be used. */
  UNUSABLE: 2,
  /** The guest reset the machine. */
  RESET: 3,
  /** The guest halted with interrupts off, or with nothing that could ever interrupt it. */
  HALTED: 4,
  /** Triple fault: EX_SOFTWARE of sysexits.h. */
  TRIPLE_FAULT: 70,
  /** `--timeout` or `--max-instructions` reached: as timeout(1). */
  LIMIT: 124,
  /** Ended by a signal: 128 and its number, as a shell reports it. */
  SIGHUP: 129,
  SIGINT: 130,
  SIGPIPE: 141,
  SIGTERM: 143,
} as const;
