#!/usr/bin/env node
// Starts dist/cli.js, with the Node.js that the package pins where the one at hand is too old.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as module from "node:module";
import { fileURLToPath } from "node:url";

const OLDEST = 24;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

if (Number.parseInt(process.versions.node, 10) < OLDEST) {
  const pinned = here("../node_modules/node/bin/node");
  if (!existsSync(pinned)) {
    console.error(`ukl-emu: needs Node.js ${OLDEST} or later, found ${process.versions.node}`);
    process.exit(2);
  }
  await runPinned(pinned);
}
if (!existsSync(here("../dist/cli.js"))) {
  console.error("ukl-emu: dist/ is missing: run `npm run build`");
  process.exit(2);
}
module.enableCompileCache?.();
await import("../dist/cli.js");

/** Ends as the other process does: what is sent to this one is meant for it. */
function runPinned(node) {
  const child = spawn(node, [here("ukl-emu.js"), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", ({ message }) => {
    console.error(`ukl-emu: expected to run ${node}, found ${message}`);
    process.exit(2);
  });
  // The promise stays open: nothing below is for this process.
  return new Promise(() => {
    child.on("exit", (code, signal) => {
      if (signal === null) process.exit(code);
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    });
  });
}
