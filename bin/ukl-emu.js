#!/usr/bin/env node
// Starts dist/cli.js, with the Node.js that the package pins where the one at hand is too old.
import { spawnSync } from "node:child_process";
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
  const child = spawnSync(pinned, [here("ukl-emu.js"), ...process.argv.slice(2)], { stdio: "inherit" });
  process.exit(child.status ?? 1);
}
if (!existsSync(here("../dist/cli.js"))) {
  console.error("ukl-emu: dist/ is missing: run `npm run build`");
  process.exit(2);
}
module.enableCompileCache?.();
await import("../dist/cli.js");
