/** The version of this package. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** From package.json, which is one directory up from dist/ and two from src/cli/. */
export function packageVersion(): string {
  const up = ["..", join("..", "..")].map((path) => join(import.meta.dirname, path, "package.json"));
  const file = up.find((path) => existsSync(path));
  return file === undefined
    ? "unknown"
    : (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
