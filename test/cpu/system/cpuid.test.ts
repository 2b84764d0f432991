import { describe, expect, test } from "vitest";
import {
  type CpuidContext,
  CpuModelError,
  cpuid,
  DEFAULT_MODEL,
  FEATURES,
  MODELS,
  parseCpuModel,
} from "../../../src/cpu/cpuid/index.ts";
import * as L from "../../../src/cpu/layout.ts";
import { Cr4 } from "../../../src/cpu/registers.ts";
import { World } from "./world.ts";

function context(changes: Partial<CpuidContext> = {}): CpuidContext {
  return {
    model: DEFAULT_MODEL,
    processors: 1,
    apicId: 0,
    apicEnabled: true,
    osxsave: false,
    ospke: false,
    xcr0: 1,
    xss: 0,
    tscHz: 1_000_000_000,
    crystalHz: 1_000_000_000,
    ...changes,
  };
}
const bit = (value: number, index: number) => ((value >>> index) & 1) === 1;

describe("leaves", () => {
  test("0: vendor, in EBX, EDX, ECX", () => {
    const { ebx, ecx, edx } = cpuid(context(), 0, 0);
    const bytes = new Uint8Array(new Uint32Array([ebx, edx, ecx]).buffer);
    expect(new TextDecoder().decode(bytes)).toBe("GenuineIntel");
  });
  test("1: family 6, model 36H, stepping 1; initial APIC ID; OSXSAVE follows CR4", () => {
    const leaf = cpuid(context({ apicId: 5, osxsave: true }), 1, 0);
    expect(leaf.eax).toBe(0x0003_0661);
    expect(leaf.ebx >>> 24).toBe(5);
    expect(bit(leaf.ecx, 27)).toBe(true);
    expect(bit(cpuid(context(), 1, 0).ecx, 27)).toBe(false);
  });
  test("1: APIC shows IA32_APIC_BASE.EN", () => {
    expect(bit(cpuid(context(), 1, 0).edx, 9)).toBe(true);
    expect(bit(cpuid(context({ apicEnabled: false }), 1, 0).edx, 9)).toBe(false);
  });
  test("4: cache sizes are ways * partitions * line * sets", () => {
    const sizes = [0, 1, 2].map((subleaf) => {
      const { ebx, ecx } = cpuid(context(), 4, subleaf);
      return ((ebx >>> 22) + 1) * (((ebx >>> 12) & 0x3ff) + 1) * ((ebx & 0xfff) + 1) * (ecx + 1);
    });
    expect(sizes).toEqual(DEFAULT_MODEL.caches.map((cache) => cache.size));
    expect(cpuid(context(), 4, 3).eax & 0x1f).toBe(0);
  });
  test.each([0xb, 0x1f])("%i: topology of four processors in one package", (leaf) => {
    const four = context({ processors: 4, apicId: 3 });
    expect(cpuid(four, leaf, 0)).toEqual({ eax: 0, ebx: 1, ecx: 0x100, edx: 3 });
    expect(cpuid(four, leaf, 1)).toEqual({ eax: 2, ebx: 4, ecx: 0x201, edx: 3 });
    expect(cpuid(four, leaf, 2)).toEqual({ eax: 0, ebx: 0, ecx: 2, edx: 3 });
  });
  test("DH: areas for x87 and SSE have 576 bytes; PKRU adds its component", () => {
    expect(cpuid(context({ xcr0: 3 }), 0xd, 0)).toEqual({ eax: 3, ebx: 576, ecx: 576, edx: 0 });
    const pku = context({ model: parseCpuModel("max"), xcr0: 0x203 });
    expect(cpuid(pku, 0xd, 0)).toMatchObject({ eax: 0x203, ebx: 2696 });
    expect(cpuid(pku, 0xd, 1).ebx).toBe(584);
    expect(cpuid(pku, 0xd, 9)).toEqual({ eax: 8, ebx: 2688, ecx: 0, edx: 0 });
    expect(cpuid(pku, 0xd, 2)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
  });
  test("15H: TSC frequency is crystal * EBX / EAX", () => {
    const { eax, ebx, ecx } = cpuid(context({ tscHz: 2_500_000_000, crystalHz: 1_000_000_000 }), 0x15, 0);
    expect((ecx * ebx) / eax).toBe(2_500_000_000);
    expect(cpuid(context(), 0x15, 0)).toMatchObject({ eax: 1, ebx: 1, ecx: 1_000_000_000 });
  });
  test("8000_0002H-4H: the brand string", () => {
    const words = [2, 3, 4].flatMap((leaf) => {
      const { eax, ebx, ecx, edx } = cpuid(context(), 0x8000_0000 + leaf, 0);
      return [eax, ebx, ecx, edx];
    });
    const text = new TextDecoder().decode(new Uint8Array(new Uint32Array(words).buffer));
    expect(text.replace(/\0+$/, "")).toBe(DEFAULT_MODEL.brand);
  });
  test("8000_0008H: address widths; LA57 makes 57 linear bits", () => {
    expect(cpuid(context(), 0x8000_0008, 0).eax).toBe(0x3028);
    expect(cpuid(context({ model: parseCpuModel("+la57") }), 0x8000_0008, 0).eax).toBe(0x3928);
  });
  test("a leaf above the maximum answers as the highest basic leaf", () => {
    expect(cpuid(context(), 0x50, 0)).toEqual(cpuid(context(), cpuid(context(), 0, 0).eax, 0));
    expect(cpuid(context(), 0x9000_0000, 1)).toEqual(cpuid(context(), 0x1f, 1));
  });
  test("the instruction clears the upper halves of its four registers", () => {
    const world = new World("long");
    for (let register = 0; register < 4; register++) world.cpu.setGpr(register, (1n << 64n) - 1n);
    world.cpu.setGpr(0, 0xffff_ffff_0000_0000n);
    world.run("cpuid");
    expect(world.cpu.gpr(0)).toBe(0x1fn);
    expect(world.cpu.gpr(3)).toBe(0x756e_6547n);
  });
  test("the instruction follows CR4.OSXSAVE and XCR0", () => {
    const world = new World("long");
    world.cpu.setI32(L.CR4, Cr4.PAE | Cr4.OSXSAVE);
    world.cpu.setU64(L.XCR0, 3n);
    world.cpu.setGpr(0, 1n);
    world.run("cpuid");
    expect(bit(world.cpu.gpr32(1), 27)).toBe(true);
  });
});

describe("models", () => {
  test("every feature bit is reported where the table says, and nothing else", () => {
    for (const model of MODELS) {
      for (const feature of FEATURES) {
        const leaf = cpuid(context({ model }), feature.leaf, feature.subleaf);
        expect([model.name, feature.name, bit(leaf[feature.register], feature.bit)]).toEqual([
          model.name,
          feature.name,
          model.features.has(feature.name),
        ]);
      }
    }
  });
  test("models name only features that exist and are implemented, with what they need", () => {
    const byName = new Map(FEATURES.map((feature) => [feature.name, feature]));
    for (const model of MODELS) {
      for (const name of model.features) {
        const feature = byName.get(name);
        expect(feature?.implemented, `${model.name}: ${name}`).toBe(true);
        for (const needed of feature!.needs) expect([...model.features]).toContain(needed);
      }
    }
  });
  test("no two features share a bit", () => {
    const places = FEATURES.map((f) => `${f.leaf}.${f.subleaf}.${f.register}.${f.bit}`);
    expect(new Set(places).size).toBe(places.length);
  });
  test("qemu64 has neither SMEP nor SMAP, x86-64-v2 both, max everything implemented", () => {
    const [v2, qemu64, max] = ["x86-64-v2", "qemu64", "max"].map(parseCpuModel);
    expect([v2!.features.has("smep"), v2!.features.has("smap")]).toEqual([true, true]);
    expect([qemu64!.features.has("smep"), qemu64!.features.has("smap")]).toEqual([false, false]);
    const implemented = FEATURES.filter((feature) => feature.implemented).map((feature) => feature.name);
    expect([...max!.features].sort()).toEqual(implemented.sort());
  });
});

describe("--cpu", () => {
  test("toggles change the default model or a named one, later words win", () => {
    const model = parseCpuModel("x86-64-v2,-smap,+la57,-la57,+LA57");
    expect([model.features.has("smap"), model.features.has("la57")]).toEqual([false, true]);
    expect(parseCpuModel("-smap").features.has("smep")).toBe(true);
    expect(parseCpuModel("")).toBe(DEFAULT_MODEL);
  });
  test("spellings of other programs are understood", () => {
    expect(parseCpuModel("-sse4.1").features.has("sse4_1")).toBe(false);
    expect(parseCpuModel("qemu64,+abm").features.has("lzcnt")).toBe(true);
  });
  test("a feature takes with it what needs it, and brings what it needs", () => {
    const off = parseCpuModel("-xsave").features;
    expect([off.has("xsaveopt"), off.has("xsaves")]).toEqual([false, false]);
    const on = parseCpuModel("qemu64,+xsaves").features;
    expect([on.has("xsave"), on.has("xsavec")]).toEqual([true, true]);
  });
  test.each([
    ["pentium", 'unknown CPU model "pentium": known models are x86-64-v2, qemu64, max'],
    ["x86-64-v2,smap", 'CPU feature "smap" needs a sign: +smap or -smap'],
    ["+avx2", 'CPU feature "avx2" is not implemented and cannot be switched on'],
  ])("%s is refused in one line", (text, message) => {
    expect(() => parseCpuModel(text)).toThrow(new CpuModelError(message));
  });
  test("an unknown feature names the known ones", () => {
    expect(() => parseCpuModel("+smup")).toThrow(
      /^unknown CPU feature "smup": known features are fpu vme .* smap /,
    );
  });
});
