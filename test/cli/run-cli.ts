/** Runs the command line as a user does: the bundle in a process of its own. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";

const root = join(import.meta.dirname, "..", "..");
export const hello = join(root, "images", "hello.bin");

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Fed to standard input, which then ends; without it, standard input is empty. */
  readonly input?: string;
  /** Working directory. */
  readonly cwd?: string;
}

export interface Cli {
  /** The bundled entry point. */
  readonly entry: string;
  /** An empty directory, removed in the end. */
  readonly work: string;
  run(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** Names in `work`. */
  files(): string[];
}

/** To be called at the top of a test file: bundles before its tests. */
export function useCli(): Cli {
  const directory = join(root, "tmp", `cli-${process.pid}-${Math.random().toString(36).slice(2)}`);
  let work = "";
  beforeAll(() => {
    execFileSync(process.execPath, ["scripts/bundle.mjs", directory], { cwd: root, stdio: "inherit" });
    work = mkdtempSync(join(directory, "work-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const entry = join(directory, "cli.js");
  return {
    entry,
    get work() {
      return work;
    },
    files: () => readdirSync(work),
    run: (args, { input = "", cwd = work } = {}) =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, [entry, ...args], { cwd, stdio: "pipe" });
        let stdout = "";
        let stderr = "";
        child.stdout.setEncoding("latin1").on("data", (text: string) => {
          stdout += text;
        });
        child.stderr.setEncoding("utf8").on("data", (text: string) => {
          stderr += text;
        });
        child.stdin.on("error", () => {}).end(input);
        child.on("error", reject).on("close", (code) => resolve({ code, stdout, stderr }));
      }),
  };
}
