/** The `--json` report. Field names are part of the interface: CHANGELOG.md records changes. */
import { registerReport } from "../debug/registers.ts";
import type { Machine } from "../machine/machine.ts";
import type { Outcome } from "./outcome.ts";
import type { Statistics } from "./statistics.ts";

export interface JsonReport extends Statistics {
  readonly image: string;
  /** "power-off", "expect", "timeout" and so on. */
  readonly reason: string;
  readonly exitCode: number;
  /** 64-bit values as hexadecimal text; the state at the end of the run, of the processor that ran last. */
  readonly registers: Readonly<Record<string, string>>;
}

export function jsonReport(
  image: string,
  end: Outcome,
  statistics: Statistics,
  machine: Machine,
): JsonReport {
  return {
    image,
    reason: end.reason,
    exitCode: end.exitCode,
    ...statistics,
    registers: registerReport(machine.current),
  };
}
