// Bundles the command line and the library, so that a start reads few files:
//
//     node scripts/bundle.mjs [DIRECTORY]      (dist unless given)
import { build } from "esbuild";

/**
 * Emitting the interpreter's main function takes longer than everything else at start-up, and it follows
 * from the sources alone: the bundle carries it (src/cpu/interpreter/prebuilt.ts).
 */
const prebuiltMain = {
  name: "prebuilt-main",
  async setup(build) {
    const { buildMain } = await import("../src/cpu/interpreter/handlers.ts");
    const { ROWS } = await import("../src/cpu/decode/tables/index.ts");
    const { definitions } = await import("../src/cpu/semantics/index.ts");
    const { bytes, size, forms, helpers } = buildMain(ROWS, definitions);
    const contents = `export const prebuilt = {
      bytes: new Uint8Array(Buffer.from(${JSON.stringify(Buffer.from(bytes).toString("base64"))}, "base64")),
      size: ${size}, forms: ${JSON.stringify(forms)}, helpers: ${JSON.stringify(helpers)} };`;
    build.onLoad({ filter: /interpreter\/prebuilt\.ts$/ }, () => ({ contents, loader: "js" }));
  },
};

/** Bundles into `directory`, which must be inside the package: packages are looked up from there. */
export async function bundle(directory) {
  await build({
    entryPoints: { cli: "src/cli/main.ts", index: "src/index.ts" },
    outdir: directory,
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
    minifySyntax: true,
    minifyWhitespace: true,
    plugins: [prebuiltMain],
    logLevel: "warning",
  });
}

if (import.meta.main ?? process.argv[1]?.endsWith("bundle.mjs")) await bundle(process.argv[2] ?? "dist");
