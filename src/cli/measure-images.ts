/** The images of the package that `measure` takes, by link mode. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { CampaignImage } from "../measure/campaign.ts";
import { compareModes } from "../measure/report.ts";
import { UserError } from "./errors.ts";
import { readInput } from "./files.ts";

const PREFIX = "ringcost-";
const SUFFIX = ".bin";
const MECHANISMS = "mechanisms.bin";

/** `images/`, which is one directory up from dist/ and two from src/cli/. */
function imageDirectory(): string {
  const up = [".", "..", join("..", "..")].map((path) => join(import.meta.dirname, path, "..", "images"));
  const found = up.find((directory) => existsSync(join(directory, MECHANISMS)));
  if (found === undefined) {
    throw new UserError(`${MECHANISMS}: expected in the package's directory images, found no such file`);
  }
  return found;
}

function image(directory: string, name: string, mode: string): CampaignImage {
  const path = join(directory, name);
  return { file: join("images", name), mode, bytes: readInput(path, "a measurement image") };
}

/** The modes for which the package has an image, in the order in which they are shown. */
export function modesOf(directory = imageDirectory()): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith(PREFIX) && name.endsWith(SUFFIX))
    .map((name) => name.slice(PREFIX.length, -SUFFIX.length))
    .sort(compareModes);
}

/** @param wanted modes; undefined: all. @throws UserError */
export function ringcostImages(wanted: readonly string[] | undefined): CampaignImage[] {
  const directory = imageDirectory();
  const present = modesOf(directory);
  for (const mode of wanted ?? []) {
    if (!present.includes(mode)) {
      throw new UserError(
        `--link: expected some of ${present.join(", ")}, found "${mode}": see ukl-emu build --link for others`,
      );
    }
  }
  const modes = wanted === undefined ? present : present.filter((mode) => wanted.includes(mode));
  return modes.map((mode) => image(directory, `${PREFIX}${mode}${SUFFIX}`, mode));
}

export function mechanismsImage(): CampaignImage {
  return image(imageDirectory(), MECHANISMS, "mechanisms");
}
