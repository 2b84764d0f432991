/** What the end of a run means: an exit code, a word for the JSON report, and one line for people. */
import type { Machine, StopReason } from "../machine/machine.ts";
import { ExitCode } from "./exit-codes.ts";

/**
 * Why the session stopped the machine. `closed`: nobody reads the output any more. `replayed`: the recorded run was
 * stopped here.
 */
export type Cause = "expect" | "replayed" | "timeout" | "quit" | "closed" | "SIGINT" | "SIGTERM" | "SIGHUP";

export interface Outcome {
  readonly exitCode: number;
  /** A `StopReason` kind, a `Cause`, or "diverged". */
  readonly reason: string;
  /** Said on standard error; null when there is nothing to say. */
  readonly message: string | null;
  /** Registers and code are of interest. */
  readonly isCrash: boolean;
  /** The user broke in and wants to know how far it got. */
  readonly isInterrupted: boolean;
}

const STOPPED: Readonly<Record<Cause, { exitCode: number; message: string | null }>> = {
  expect: { exitCode: ExitCode.SUCCESS, message: null },
  timeout: { exitCode: ExitCode.LIMIT, message: "stopped: --timeout reached" },
  quit: { exitCode: ExitCode.SUCCESS, message: null },
  replayed: { exitCode: ExitCode.SUCCESS, message: "the recording ends" },
  closed: { exitCode: ExitCode.SIGPIPE, message: null },
  SIGINT: { exitCode: ExitCode.SIGINT, message: "stopped by SIGINT" },
  SIGTERM: { exitCode: ExitCode.SIGTERM, message: "stopped by SIGTERM" },
  SIGHUP: { exitCode: ExitCode.SIGHUP, message: null },
};

function ofReason(reason: StopReason): { exitCode: number; message: string | null } {
  switch (reason.kind) {
    case "power-off":
      return { exitCode: ExitCode.SUCCESS, message: null };
    case "debug-exit":
      // A host sees eight bits of it, as with QEMU.
      return { exitCode: reason.status & 0xff, message: null };
    case "reset":
      return { exitCode: ExitCode.RESET, message: `the guest reset the machine through ${reason.source}` };
    case "halted":
      return { exitCode: ExitCode.HALTED, message: "the guest halted and nothing can wake it" };
    case "triple-fault":
      return { exitCode: ExitCode.TRIPLE_FAULT, message: "triple fault" };
    case "instruction-limit":
      return { exitCode: ExitCode.LIMIT, message: "stopped: --max-instructions reached" };
    case "replayed":
      return STOPPED.replayed;
    case "stopped":
      return { exitCode: ExitCode.FAILURE, message: "stopped" };
  }
}

/**
 * @param expecting `--expect` was given: a guest that ends by itself before is a failure
 * @param divergence how a replay differs from what was recorded
 */
export function outcome(
  stop: StopReason,
  cause: Cause | null,
  expecting: boolean,
  divergence: string | null,
  machine: Pick<Machine, "instructions">,
): Outcome {
  // A match counts even when the guest powered off in the same breath.
  const decided = cause !== null && (stop.kind === "stopped" || cause === "expect") ? cause : null;
  const { exitCode, message } = decided ? STOPPED[decided] : ofReason(stop);
  const common = { reason: decided ?? stop.kind, isCrash: !decided && stop.kind === "triple-fault" };
  if (divergence !== null) {
    const message = `the run has diverged from the recording: ${divergence}`;
    return { reason: "diverged", isCrash: false, isInterrupted: false, exitCode: ExitCode.FAILURE, message };
  }
  const isInterrupted = decided === "SIGINT" || decided === "SIGTERM";
  if (expecting && decided === null && exitCode === ExitCode.SUCCESS) {
    const text = "the guest powered off before its console matched --expect";
    return { ...common, isInterrupted, exitCode: ExitCode.FAILURE, message: text };
  }
  const after =
    message === null ? null : `${message} after ${machine.instructions.toLocaleString("en-US")} instructions`;
  return { ...common, isInterrupted, exitCode, message: after };
}
