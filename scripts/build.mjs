// Builds dist/: the command line and the library, bundled, and the types.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { bundle } from "./bundle.mjs";

rmSync("dist", { recursive: true, force: true });
await bundle("dist");
const types = spawnSync("tsc", ["-p", "tsconfig.types.json"], { stdio: "inherit", shell: true });
process.exit(types.status ?? 1);
