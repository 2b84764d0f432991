/**
 * Builds the committed images of src/ukl-kernel's kernel, as `ukl-emu build` does:
 *
 *     node images/build-images.ts [--check] [NAME...]
 *
 * With --check nothing is written: exit code 1 if an image differs. The committed files were built with the
 * toolchain named in `toolchain`; another one may give other bytes that do the same.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BuildOptions, buildImage, type LinkMode } from "../src/build/index.ts";

/** First line of `gcc --version` of the compiler behind the committed images: Debian 12's. */
export const toolchain = "gcc (Debian 12.2.0-14+deb12u1) 12.2.0";

const application = (name: string): string =>
  join(import.meta.dirname, "..", "src", "ukl-kernel", "apps", `${name}.c`);

const ringcost = (options: Omit<BuildOptions, "inputs">): BuildOptions => ({
  inputs: [application("ringcost")],
  ...options,
});

/** The servers that `ukl-emu measure --servers` asks. */
const http = (link: LinkMode): BuildOptions => ({
  ...{ inputs: [application("http")], link, net: true },
  extraFiles: [{ host: join(import.meta.dirname, "http-index.html"), guest: "/www/index.html" }],
});
const keyvalue = (link: LinkMode): BuildOptions => ({ inputs: [application("keyvalue")], link, net: true });

/** What is built how, by file name. */
export const images: Readonly<Record<string, BuildOptions>> = {
  "hello.bin": { inputs: [application("hello")], link: "ukl" },
  "threads.bin": { inputs: [application("threads")], link: "ukl" },
  "pair.bin": {
    inputs: [application("pair")],
    link: "ukl",
    extraFiles: [{ host: application("pair-partner"), guest: "/ring3/pair-partner" }],
  },
  "ringcost-ring3.bin": ringcost({ link: "ring3" }),
  "ringcost-ring3-kpti.bin": ringcost({ link: "ring3", kpti: true }),
  "ringcost-ring3-kpti-pcid.bin": ringcost({ link: "ring3", kpti: true, pcid: true }),
  "ringcost-kml.bin": ringcost({ link: "kml" }),
  "ringcost-zpoline.bin": ringcost({ link: "zpoline" }),
  "ringcost-ukl.bin": ringcost({ link: "ukl" }),
  "ringcost-ukl-nss.bin": ringcost({ link: "ukl", stackSwitch: false }),
  "ringcost-ukl-df.bin": ringcost({ link: "ukl", faultStack: "df" }),
  "ringcost-ukl-ret.bin": ringcost({ link: "ukl", return: "ret" }),
  "ringcost-ukl-byp.bin": ringcost({ link: "ukl-byp" }),
  "ringcost-shortcut.bin": ringcost({ link: "shortcut" }),
  "http-ring3.bin": http("ring3"),
  "http-ukl.bin": http("ukl"),
  "http-ukl-byp.bin": http("ukl-byp"),
  "keyvalue-ring3.bin": keyvalue("ring3"),
  "keyvalue-ukl.bin": keyvalue("ukl"),
  "keyvalue-ukl-byp.bin": keyvalue("ukl-byp"),
};

async function main(args: readonly string[]): Promise<void> {
  const check = args.includes("--check");
  const names = args.filter((argument) => argument !== "--check");
  const unknown = names.find((name) => !Object.hasOwn(images, name));
  if (unknown !== undefined) {
    console.error(`build-images: expected some of ${Object.keys(images).join(", ")}, found "${unknown}"`);
    process.exit(2);
  }
  for (const name of names.length > 0 ? names : Object.keys(images)) {
    const { image } = await buildImage(images[name]!);
    const path = join(import.meta.dirname, name);
    const same = existsSync(path) && readFileSync(path).equals(image);
    if (!same && check) process.exitCode = 1;
    else if (!same) writeFileSync(path, image);
    console.log(`${name}: ${image.length} bytes, ${same ? "unchanged" : check ? "differs" : "written"}`);
  }
}

if (import.meta.main) await main(process.argv.slice(2));
