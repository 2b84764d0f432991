/** `ukl-emu info IMAGE`: what a file is and how it would be booted. */
import type { CommandModule } from "yargs";
import { describeImage, ImageError, type ImageInfo } from "../boot/index.ts";
import { UserError } from "./errors.ts";
import { readInput } from "./files.ts";

interface InfoArguments {
  readonly image: string;
  readonly json: boolean | undefined;
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const bytes = (value: number): string => `${value.toLocaleString("en-US")} bytes`;

function lines(path: string, info: ImageInfo): string[] {
  const rows: (readonly [string, string | undefined])[] = [
    ["file", path],
    ["size", bytes(info.fileSize)],
    ["format", info.description],
    ["booted by", info.boot],
    ["protocol", info.protocol],
    ["kernel", info.kernelVersion],
    ["compression", info.compression],
    ["segments", info.segments?.toString()],
    ["loaded at", hex(info.loadAddress)],
    ["memory", bytes(info.memorySize)],
    ["entry", hex(info.entry)],
    [
      "command line",
      info.commandLineLimit === undefined ? undefined : `up to ${bytes(info.commandLineLimit)}`,
    ],
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(13)}${value}`]));
}

export const infoCommand: CommandModule<object, InfoArguments> = {
  command: "info <image>",
  describe: "Say what an image is and how it would be booted",
  builder: (yargs) =>
    yargs
      .positional("image", { type: "string", describe: "file to look at", demandOption: true })
      .option("json", { type: "boolean", describe: "as JSON" })
      .example("$0 info images/hello.bin", "what the image of this package is"),
  handler: ({ image, json }) => {
    const file = readInput(image, "a kernel image");
    try {
      const info = describeImage(file);
      console.log(
        json === true ? JSON.stringify({ file: image, ...info }, null, 2) : lines(image, info).join("\n"),
      );
    } catch (error) {
      if (error instanceof ImageError) throw new UserError(`${image}: ${error.message}`);
      throw error;
    }
  },
};
