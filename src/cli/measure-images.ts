/** The images of the package that `measure` takes, by link mode. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { CampaignImage } from "../measure/campaign.ts";
import { compareModes } from "../measure/report.ts";
import type { ServerImage } from "../measure/servers/report.ts";
import { UserError } from "./errors.ts";
import { readInput } from "./files.ts";

const RINGCOST = "ringcost";
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

/** The modes for which the package has an image of a program, in the order in which they are shown. */
export function modesOf(program = RINGCOST, directory = imageDirectory()): string[] {
  const prefix = `${program}-`;
  return readdirSync(directory)
    .filter((name) => name.startsWith(prefix) && name.endsWith(SUFFIX))
    .map((name) => name.slice(prefix.length, -SUFFIX.length))
    .sort(compareModes);
}

/** @throws UserError for a mode that no image has */
function chosenModes(present: readonly string[], wanted: readonly string[] | undefined): readonly string[] {
  for (const mode of wanted ?? []) {
    if (!present.includes(mode)) {
      throw new UserError(
        `--link: expected some of ${present.join(", ")}, found "${mode}": see ukl-emu build --link for others`,
      );
    }
  }
  return wanted === undefined ? present : present.filter((mode) => wanted.includes(mode));
}

/** @param wanted modes; undefined: all. @throws UserError */
export function ringcostImages(wanted: readonly string[] | undefined): CampaignImage[] {
  const directory = imageDirectory();
  const modes = chosenModes(modesOf(RINGCOST, directory), wanted);
  return modes.map((mode) => image(directory, `${RINGCOST}-${mode}${SUFFIX}`, mode));
}

/** Images of servers. @param wanted modes; undefined: all. @throws UserError */
export function serverImages(
  servers: readonly string[],
  wanted: readonly string[] | undefined,
): ServerImage[] {
  const directory = imageDirectory();
  return servers.flatMap((server) =>
    chosenModes(modesOf(server, directory), wanted).map((mode) => ({
      ...{ server, ...image(directory, `${server}-${mode}${SUFFIX}`, mode) },
    })),
  );
}

export function mechanismsImage(): CampaignImage {
  return image(imageDirectory(), MECHANISMS, "mechanisms");
}
