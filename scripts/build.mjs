// Builds dist/: the command line and the library, bundled so that a start reads few files, and the types.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { build } from "esbuild";

rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: { cli: "src/cli/main.ts", index: "src/index.ts" },
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  // iced-x86 is large and only needed to show instructions; it stays a package that is imported on demand.
  external: ["iced-x86"],
  banner: {
    // Some dependencies are CommonJS inside the bundle and ask for node's built-in modules.
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  legalComments: "none",
  logLevel: "warning",
});
const types = spawnSync("tsc", ["-p", "tsconfig.types.json"], { stdio: "inherit", shell: true });
process.exit(types.status ?? 1);
