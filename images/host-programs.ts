/** Programs of the host with their libraries, for guests: found by ldd, put at the same paths. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CpioEntry, directory, file } from "../src/build/cpio.ts";

const directories = (process.env["PATH"] ?? "").split(":").concat("/usr/sbin", "/sbin");

/** Where a program lies, or undefined. */
export function findProgram(name: string): string | undefined {
  return directories.map((path) => join(path, name)).find((path) => existsSync(path));
}

/**
 * The files that a program of the host needs: itself, its interpreter and its libraries, by absolute path.
 * @throws Error if ldd cannot tell or a library is missing
 */
export function programFiles(path: string): string[] {
  const { status, stdout, stderr } = spawnSync("ldd", [path], { encoding: "utf8" });
  const text = `${stdout}${stderr}`;
  if (/not a dynamic executable|statically linked/.test(text)) return [path];
  if (status !== 0 || text.includes("not found")) throw new Error(`ldd ${path} failed: ${text.trim()}`);
  // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)" or "/lib64/ld-linux-x86-64.so.2 (0x...)"
  const libraries = text.split("\n").flatMap((line) => /(?:=> |^\s*)(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  return [path, ...libraries];
}

/** Entries of the directories above these paths, each once, outermost first. Paths have no leading slash. */
export function parentDirectories(paths: readonly string[]): CpioEntry[] {
  const found = new Set<string>();
  const visit = (path: string): void => {
    const parent = dirname(path);
    if (parent === "." || found.has(parent)) return;
    visit(parent);
    found.add(parent);
  };
  for (const path of paths) visit(path);
  return [...found].map(directory);
}

/** Entries of these programs and what they need; symbolic links are followed. Without their directories. */
export function programEntries(names: readonly string[]): CpioEntry[] {
  const files = new Set(
    names.flatMap((name) => {
      const path = name.startsWith("/") ? name : findProgram(name);
      if (path === undefined) throw new Error(`${name} is not installed`);
      return programFiles(path);
    }),
  );
  return [...files].map((path) => file(path.slice(1), readFileSync(realpathSync(path)), 0o755));
}
