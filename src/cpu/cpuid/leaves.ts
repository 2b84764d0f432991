/** What CPUID returns, leaf by leaf (SDM vol. 2A, CPUID; AMD APM vol. 3 appendix E for 8000_0000H up). */
import { type CpuidRegister, FEATURES } from "./features.ts";
import type { CacheLevel, CpuModel } from "./models.ts";
import { COMPONENTS, compactedSize, enabledComponents, standardSize } from "./state-components.ts";

export interface CpuidResult {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/** What of the result depends on the machine and on the processor's state now. */
export interface CpuidContext {
  readonly model: CpuModel;
  readonly processors: number;
  /** This processor's x2APIC ID. */
  readonly apicId: number;
  /** IA32_APIC_BASE.EN. */
  readonly apicEnabled: boolean;
  readonly osxsave: boolean;
  readonly ospke: boolean;
  readonly xcr0: number;
  readonly xss: number;
  /** Frequencies in Hz: the time-stamp counter, and the crystal that also drives the local APIC timer. */
  readonly tscHz: number;
  readonly crystalHz: number;
}

/** Up to the V2 topology leaf; leaves in between that say nothing here return zeros. */
const MAX_BASIC_LEAF = 0x1f;
const MAX_EXTENDED_LEAF = 0x8000_0008;
const MAX_HYPERVISOR_LEAF = 0x4000_0010;

const ZERO: Readonly<CpuidResult> = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

function textWords(text: string, words: number): number[] {
  const bytes = new Uint8Array(words * 4);
  bytes.set(new TextEncoder().encode(text).subarray(0, words * 4));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: words }, (_, index) => view.getUint32(index * 4, true));
}

/** The bits of one register that features report. */
function featureBits(model: CpuModel, leaf: number, subleaf: number, register: CpuidRegister): number {
  let bits = 0;
  for (const feature of FEATURES) {
    if (feature.leaf !== leaf || feature.subleaf !== subleaf || feature.register !== register) continue;
    if (model.features.has(feature.name)) bits |= 1 << feature.bit;
  }
  return bits;
}

/** Leaf 1 EAX: family and model split into base and extended fields. */
export function signature(model: CpuModel): number {
  const family = Math.min(model.family, 0xf);
  const extendedFamily = model.family - family;
  return (
    (extendedFamily << 20) |
    ((model.model >> 4) << 16) |
    (family << 8) |
    ((model.model & 0xf) << 4) |
    model.stepping
  );
}

/** Bits that an APIC ID needs to tell `count` things apart. */
function idBits(count: number): number {
  return Math.ceil(Math.log2(Math.max(count, 1)));
}

function leaf1(context: CpuidContext): CpuidResult {
  const { model, processors } = context;
  let ecx = featureBits(model, 1, 0, "ecx");
  let edx = featureBits(model, 1, 0, "edx");
  // OSXSAVE shows CR4.OSXSAVE; APIC shows IA32_APIC_BASE.EN (SDM vol. 3A 11.4.3).
  if (context.osxsave) ecx |= 1 << 27;
  if (!context.apicEnabled) edx &= ~(1 << 9);
  // HTT: EBX[23:16] holds the number of addressable IDs in the package.
  if (processors > 1) edx |= 1 << 28;
  const clflushChunks = 64 / 8;
  const ebx = (clflushChunks << 8) | ((1 << idBits(processors)) << 16) | ((context.apicId & 0xff) << 24);
  return { eax: signature(model), ebx, ecx, edx };
}

const CACHE_TYPE = { data: 1, instruction: 2, unified: 3 } as const;

function leaf4(context: CpuidContext, cache: CacheLevel | undefined): CpuidResult {
  if (cache === undefined) return ZERO;
  const sets = cache.size / (cache.ways * cache.line);
  const selfInitializing = 1 << 8;
  const coreIds = (1 << idBits(context.processors)) - 1;
  return {
    eax: CACHE_TYPE[cache.kind] | (cache.level << 5) | selfInitializing | (coreIds << 26),
    ebx: (cache.line - 1) | ((cache.ways - 1) << 22),
    ecx: sets - 1,
    edx: 0,
  };
}

/** Extended topology: one thread per core, all cores in one package. */
function topology(context: CpuidContext, subleaf: number): CpuidResult {
  const level = [
    { type: 1, shift: 0, count: 1 },
    { type: 2, shift: idBits(context.processors), count: context.processors },
  ][subleaf] ?? { type: 0, shift: 0, count: 0 };
  return {
    eax: level.shift,
    ebx: level.count,
    ecx: (level.type << 8) | (subleaf & 0xff),
    edx: context.apicId,
  };
}

function leafD(context: CpuidContext, subleaf: number): CpuidResult {
  const { model } = context;
  if (!model.features.has("xsave")) return ZERO;
  const user = enabledComponents(model, "user");
  const supervisor = enabledComponents(model, "supervisor");
  if (subleaf === 0) {
    return { eax: user, ebx: standardSize(context.xcr0), ecx: standardSize(user), edx: 0 };
  }
  if (subleaf === 1) {
    return {
      eax: featureBits(model, 0xd, 1, "eax"),
      ebx: compactedSize(context.xcr0 | context.xss),
      ecx: supervisor,
      edx: 0,
    };
  }
  const component = COMPONENTS.find((candidate) => candidate.index === subleaf);
  if (component === undefined || ((user | supervisor) & (1 << subleaf)) === 0) return ZERO;
  return {
    eax: component.size,
    ebx: component.offset,
    ecx: (component.supervisor ? 1 : 0) | (component.aligned ? 2 : 0),
    edx: 0,
  };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function basicLeaf(context: CpuidContext, leaf: number, subleaf: number): CpuidResult {
  const { model } = context;
  switch (leaf) {
    case 0: {
      const [ebx, edx, ecx] = textWords(model.vendor, 3) as [number, number, number];
      return { eax: MAX_BASIC_LEAF, ebx, ecx, edx };
    }
    case 1:
      return leaf1(context);
    case 2:
      // One call suffices (01); caches as leaf 4 says (FF); data TLB for 4 KiB pages, 4-way, 64 entries (03);
      // instruction TLB for 4 KiB pages, 4-way, 32 entries (01).
      return { eax: 0x0103_ff01, ebx: 0, ecx: 0, edx: 0 };
    case 4:
      return leaf4(context, model.caches[subleaf]);
    case 5:
      // MONITOR lines are of one cache line; extensions are enumerated, interrupts break MWAIT when masked.
      return model.features.has("monitor") ? { eax: 64, ebx: 64, ecx: 3, edx: 0x10 } : ZERO;
    case 6:
      return { ...ZERO, eax: featureBits(model, 6, 0, "eax") };
    case 7:
      if (subleaf !== 0) return ZERO;
      return {
        eax: 0,
        ebx: featureBits(model, 7, 0, "ebx"),
        ecx: featureBits(model, 7, 0, "ecx") | (context.ospke ? 1 << 4 : 0),
        edx: featureBits(model, 7, 0, "edx"),
      };
    case 0xb:
    case 0x1f:
      return topology(context, subleaf);
    case 0xd:
      return leafD(context, subleaf);
    case 0x15: {
      // TSC = crystal * EBX / EAX, so no kernel has to calibrate.
      const divisor = greatestCommonDivisor(context.tscHz, context.crystalHz);
      return {
        eax: context.crystalHz / divisor,
        ebx: context.tscHz / divisor,
        ecx: context.crystalHz,
        edx: 0,
      };
    }
    case 0x16: {
      const megahertz = Math.round(context.tscHz / 1e6);
      return { eax: megahertz, ebx: megahertz, ecx: 100, edx: 0 };
    }
    default:
      return ZERO;
  }
}

/**
 * Hypervisor leaves: a signature, and in 4000_0010H the frequencies of the TSC and of the local APIC timer in
 * kHz, the layout that several hypervisors share. Linux learns both from leaf 15H; other kernels look here.
 */
function hypervisorLeaf(context: CpuidContext, leaf: number): CpuidResult {
  if (leaf === 0x4000_0000) {
    const [ebx, ecx, edx] = textWords("UKL-EMU\0\0\0\0\0", 3) as [number, number, number];
    return { eax: MAX_HYPERVISOR_LEAF, ebx, ecx, edx };
  }
  if (leaf === 0x4000_0010) {
    return { ...ZERO, eax: Math.round(context.tscHz / 1000), ebx: Math.round(context.crystalHz / 1000) };
  }
  return ZERO;
}

function extendedLeaf(context: CpuidContext, leaf: number): CpuidResult {
  const { model } = context;
  switch (leaf) {
    case 0x8000_0000:
      return { ...ZERO, eax: MAX_EXTENDED_LEAF | 0 };
    case 0x8000_0001:
      return {
        ...ZERO,
        ecx: featureBits(model, leaf, 0, "ecx"),
        edx: featureBits(model, leaf, 0, "edx"),
      };
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004: {
      const words = textWords(model.brand, 12);
      const at = (leaf - 0x8000_0002) * 4;
      return { eax: words[at]!, ebx: words[at + 1]!, ecx: words[at + 2]!, edx: words[at + 3]! };
    }
    case 0x8000_0006: {
      const cache = model.caches.find((level) => level.level === 2);
      if (cache === undefined) return ZERO;
      // Associativity code 8 is 16-way (AMD APM vol. 3 E.4.5).
      return { ...ZERO, ecx: cache.line | (8 << 12) | ((cache.size >> 10) << 16) };
    }
    case 0x8000_0007:
      return { ...ZERO, edx: featureBits(model, leaf, 0, "edx") };
    case 0x8000_0008: {
      const linearBits = model.features.has("la57") ? 57 : 48;
      return { ...ZERO, eax: model.physicalBits | (linearBits << 8) };
    }
    default:
      return ZERO;
  }
}

/**
 * CPUID for `leaf` (EAX) and `subleaf` (ECX), both unsigned. A leaf above the maximum of its range returns
 * what the highest basic leaf does, as the manual says of Intel processors.
 */
export function cpuid(context: CpuidContext, leaf: number, subleaf: number): CpuidResult {
  if (leaf >= 0x8000_0000 && leaf <= MAX_EXTENDED_LEAF) return extendedLeaf(context, leaf);
  if (context.model.features.has("hypervisor") && leaf >= 0x4000_0000 && leaf <= 0x4000_00ff) {
    return hypervisorLeaf(context, leaf);
  }
  return basicLeaf(context, Math.min(leaf, MAX_BASIC_LEAF), subleaf);
}
