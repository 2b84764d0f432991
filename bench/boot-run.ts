/** One timed run of a machine: from the command to a line on its console. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

export interface BootRun {
  /** Wall time from the start of the process to the line. */
  readonly seconds: number;
  /** Largest resident set so far of the process when the line came, bytes; 0 where there is no /proc. */
  readonly peakMemory: number;
}

/** VmHWM of a process. */
function peakMemory(pid: number): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Longest run that is waited for. */
const LIMIT_MS = 300_000;

/** Starts a machine and waits until `line` appears on its standard output. @throws Error if it ends before */
export function bootOnce(command: readonly string[], line: string): Promise<BootRun> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "pipe", "ignore"] });
    const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    let run: BootRun | null = null;
    let text = "";
    child.stdout.setEncoding("latin1").on("data", (chunk: string) => {
      // Only the end can complete the line.
      text = text.slice(-line.length) + chunk;
      if (run !== null || !text.includes(line)) return;
      run = { seconds: (performance.now() - start) / 1000, peakMemory: peakMemory(child.pid!) };
      child.kill("SIGKILL");
    });
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(limit);
      if (run !== null) resolve(run);
      else reject(new Error(`${command[0]} ended without "${line}" on its console`));
    });
  });
}
