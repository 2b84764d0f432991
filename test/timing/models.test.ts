/** The models as data. */
import { describe, expect, test } from "vitest";
import { FIGURE_NAMES } from "../../src/timing/figures.ts";
import { isAssumed, TIMING_MODELS, TimingModelError, timingModel } from "../../src/timing/index.ts";

const figure = (model: string, name: string) =>
  timingModel(model).figures.find((candidate) => candidate.name === name)!;

describe("timing models", () => {
  test("an unknown name is an error that lists the names", () => {
    expect(() => timingModel("skylark")).toThrow(TimingModelError);
    expect(() => timingModel("skylark")).toThrow(/none, .*skylake.*found "skylark"/);
  });

  test("none, skylake, haswell and zen4 are there", () => {
    expect(TIMING_MODELS).toEqual(expect.arrayContaining(["none", "skylake", "haswell", "zen4"]));
  });

  test.each(TIMING_MODELS.filter((name) => name !== "none"))("%s has every figure with a source", (name) => {
    const { figures, frequencyHz, tlb } = timingModel(name);
    expect(figures.map((one) => one.name)).toEqual(FIGURE_NAMES);
    for (const { name: of, value, source, description } of figures) {
      expect(value, of).toBeGreaterThan(0);
      expect(source, of).not.toBe("");
      expect(description, of).not.toBe("");
    }
    // IA32_PLATFORM_INFO gives the frequency in multiples of 100 MHz.
    expect(frequencyHz % 1e8).toBe(0);
    for (const { entries, ways } of Object.values(tlb!)) expect(entries % ways).toBe(0);
  });

  test("skylake's pairs are the published ones", () => {
    const pair = (...names: string[]) => names.reduce((sum, name) => sum + figure("skylake", name).value, 0);
    expect(pair("int.inner", "iret.outer")).toBe(614);
    expect(pair("far-call.inner", "far-return.outer")).toBe(456);
    expect(pair("syscall", "sysret")).toBe(76);
    expect(pair("sysenter", "sysexit")).toBe(73);
  });

  // FACTS: uops.info's reciprocal throughputs.
  test.each([
    ["invlpg", { haswell: 208, skylake: 211, icelake: 216, alderlake: 224, zen2: 126, zen4: 118 }],
    ["wrmsr", { haswell: 137, skylake: 135, icelake: 140, alderlake: 159, zen2: 234, zen4: 208 }],
    ["rdmsr", { haswell: 92, skylake: 87, icelake: 91, alderlake: 51, zen2: 149, zen4: 152 }],
    ["load-table", { haswell: 120, skylake: 121, icelake: 131, alderlake: 134, zen2: 85, zen4: 70 }],
    ["read-cr", { haswell: 9, skylake: 8, icelake: 8, alderlake: 8, zen2: 6, zen4: 6 }],
    ["popf", { haswell: 20, skylake: 21, icelake: 25, alderlake: 27, zen2: 14, zen4: 13 }],
    ["sti", { haswell: 4, skylake: 4, icelake: 4, alderlake: 4, zen2: 47, zen4: 47 }],
    ["cli", { haswell: 2, skylake: 2, icelake: 2, alderlake: 2, zen2: 8, zen4: 7 }],
    ["rdtsc", { haswell: 24, skylake: 25, icelake: 27, alderlake: 26, zen2: 37, zen4: 35 }],
    ["cpuid", { haswell: 99, skylake: 101, icelake: 105, alderlake: 123, zen2: 126, zen4: 146 }],
    ["verw", { haswell: 63, skylake: 67, icelake: 71, alderlake: 78, zen2: 96, zen4: 100 }],
    ["call", { haswell: 1, skylake: 1, icelake: 1, alderlake: 1, zen2: 1, zen4: 0.5 }],
  ])("%s is what was published, and says where", (name, values) => {
    for (const [model, value] of Object.entries(values)) {
      const found = figure(model, name);
      expect(found.value, model).toBe(value);
      expect(isAssumed(found), model).toBe(false);
      expect(found.source, model).toMatch(/uops\.info/);
    }
  });

  test("a figure guessed from another model says so", () => {
    expect(figure("icelake", "syscall").source).toBe("assumed: as on Skylake");
  });
});
