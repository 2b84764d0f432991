/** `ukl-emu models`, and `boot --timing`. */
import { describe, expect, test } from "vitest";
import { hello, useCli } from "./run-cli.ts";

const cli = useCli();

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly source: string;
}

describe("models", () => {
  test("lists the models", async () => {
    const { code, stdout } = await cli.run(["models"]);
    expect(code).toBe(0);
    for (const name of ["none", "haswell", "skylake", "zen4"])
      expect(stdout).toMatch(new RegExp(`^${name} `, "m"));
    const json = JSON.parse((await cli.run(["models", "--json"])).stdout) as { name: string }[];
    expect(json.map(({ name }) => name)).toContain("skylake");
  });

  test("prints every figure of one, with its source or as assumed", async () => {
    const { stdout } = await cli.run(["models", "skylake"]);
    const json = JSON.parse((await cli.run(["models", "skylake", "--json"])).stdout) as { figures: Figure[] };
    const lines = stdout.split("\n");
    for (const { name, source } of json.figures) {
      const line = lines.find((candidate) => candidate.startsWith(`${name} `));
      expect(line, name).toMatch(source.startsWith("assumed") ? /assumed/ : /\[\d+\]$/);
      if (!source.startsWith("assumed")) expect(stdout).toContain(source);
    }
    expect(json.figures.find(({ name }) => name === "cpuid")).toMatchObject({ value: 101 });
  });

  test("an unknown model is one line with the names, exit code 2", async () => {
    const { code, stderr } = await cli.run(["models", "pentium"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^ukl-emu: expected a timing model, one of none, .*found "pentium"\n$/);
  });
});

describe("boot --timing", () => {
  test("reports cycles and the assumed figures in them, the same in each run", async () => {
    const run = async () => {
      const { code, stdout } = await cli.run(["boot", hello, "--timing", "skylake", "--json"]);
      expect(code).toBe(0);
      const { instructions, virtualSeconds, timing } = JSON.parse(stdout);
      return { instructions, virtualSeconds, timing };
    };
    const first = await run();
    expect(first.timing.model).toBe("skylake");
    expect(first.timing.cycles).toBeGreaterThan(first.instructions);
    expect(first.timing.assumed).toContain("port");
    expect(first.timing.assumed).not.toContain("load");
    expect(first.virtualSeconds).toBe(Math.floor(first.timing.cycles / 3.6) / 1e9);
    expect(await run()).toEqual(first);
  });

  test("without a model, a nanosecond passes with each instruction, and no cycles are reported", async () => {
    const plain = JSON.parse((await cli.run(["boot", hello, "--json"])).stdout);
    expect(plain.timing).toBeUndefined();
    expect(Math.round((plain.virtualSeconds - plain.idleSeconds) * 1e9)).toBe(plain.instructions);
  });

  test("--stats has the cycles", async () => {
    const { stderr } = await cli.run(["boot", hello, "--timing", "haswell", "--stats"]);
    expect(stderr).toMatch(/^Cycles \(haswell\) +[\d,]+$/m);
  });

  test("an unknown model is one line with the names, exit code 2", async () => {
    const { code, stderr } = await cli.run(["boot", hello, "--timing", "pentium"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^ukl-emu: --timing: expected a timing model, one of none, .*found "pentium"\n$/);
  });
});
