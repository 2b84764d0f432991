/**
 * CPUID feature flags by name: where each is reported and whether this processor has it at all.
 * Names are those of the SDM's feature tables in the lower-case spelling that Linux and QEMU use.
 */

export type CpuidRegister = "eax" | "ebx" | "ecx" | "edx";

export interface Feature {
  readonly name: string;
  /** Leaf, subleaf, register and bit that report it. */
  readonly leaf: number;
  readonly subleaf: number;
  readonly register: CpuidRegister;
  readonly bit: number;
  /** False: decoded as #UD and refused in a model, since nothing implements it yet. */
  readonly implemented: boolean;
  /** Features without which this one means nothing. */
  readonly needs: readonly string[];
}

/** name, leaf[.subleaf].register.bit, then `needs=a,b` and `absent` (SDM vol. 2A, CPUID, tables 3-8 to 3-20). */
const ROWS = `
fpu             1.edx.0
vme             1.edx.1
de              1.edx.2
pse             1.edx.3
tsc             1.edx.4
msr             1.edx.5
pae             1.edx.6
mce             1.edx.7
cx8             1.edx.8
apic            1.edx.9
sep             1.edx.11
mtrr            1.edx.12
pge             1.edx.13
mca             1.edx.14      needs=mce
cmov            1.edx.15
pat             1.edx.16
pse36           1.edx.17
clflush         1.edx.19
mmx             1.edx.23
fxsr            1.edx.24
sse             1.edx.25      needs=fxsr
sse2            1.edx.26      needs=sse
ss              1.edx.27
sse3            1.ecx.0       needs=sse2
pclmulqdq       1.ecx.1       needs=sse2 absent
monitor         1.ecx.3
ssse3           1.ecx.9       needs=sse3
fma             1.ecx.12      needs=avx absent
cx16            1.ecx.13
pcid            1.ecx.17      needs=lm
sse4_1          1.ecx.19      needs=ssse3
sse4_2          1.ecx.20      needs=sse4_1
x2apic          1.ecx.21      needs=apic
movbe           1.ecx.22
popcnt          1.ecx.23
tsc-deadline    1.ecx.24      needs=apic,tsc
aes             1.ecx.25      needs=sse2 absent
xsave           1.ecx.26      needs=fxsr
avx             1.ecx.28      needs=xsave,sse4_2 absent
f16c            1.ecx.29      needs=avx absent
rdrand          1.ecx.30
hypervisor      1.ecx.31
arat            6.eax.2       needs=apic
fsgsbase        7.ebx.0       needs=lm
tsc_adjust      7.ebx.1       needs=tsc
bmi1            7.ebx.3
avx2            7.ebx.5       needs=avx absent
smep            7.ebx.7
bmi2            7.ebx.8
erms            7.ebx.9
invpcid         7.ebx.10
rdseed          7.ebx.18
adx             7.ebx.19
smap            7.ebx.20
clflushopt      7.ebx.23      needs=clflush
clwb            7.ebx.24      needs=clflush
sha             7.ebx.29      needs=sse2 absent
umip            7.ecx.2
pku             7.ecx.3       needs=xsave,lm
la57            7.ecx.16      needs=lm
rdpid           7.ecx.22
fsrm            7.edx.4
arch-capabilities 7.edx.29
xsaveopt        D.1.eax.0     needs=xsave
xsavec          D.1.eax.1     needs=xsave
xgetbv1         D.1.eax.2     needs=xsave
xsaves          D.1.eax.3     needs=xsave,xsavec
lahf_lm         80000001.ecx.0
lzcnt           80000001.ecx.5
prefetchw       80000001.ecx.8
syscall         80000001.edx.11  needs=lm
nx              80000001.edx.20  needs=pae
pdpe1gb         80000001.edx.26  needs=lm
rdtscp          80000001.edx.27  needs=tsc
lm              80000001.edx.29  needs=pae
invtsc          80000007.edx.8   needs=tsc
`;

/** Other spellings in use. */
const ALIASES: Readonly<Record<string, string>> = {
  pni: "sse3",
  abm: "lzcnt",
  "3dnowprefetch": "prefetchw",
  cmpxchg8b: "cx8",
  cmpxchg16b: "cx16",
  xd: "nx",
  sysenter: "sep",
};

function parseRow(line: string): Feature {
  const [name, place, ...attributes] = line.trim().split(/\s+/) as [string, string, ...string[]];
  const parts = place.split(".");
  const bit = Number(parts.pop());
  const register = parts.pop() as CpuidRegister;
  const [leaf, subleaf = "0"] = parts;
  const needs = attributes.find((word) => word.startsWith("needs="));
  return {
    name,
    leaf: Number.parseInt(leaf!, 16),
    subleaf: Number(subleaf),
    register,
    bit,
    implemented: !attributes.includes("absent"),
    needs: needs ? needs.slice("needs=".length).split(",") : [],
  };
}

export const FEATURES: readonly Feature[] = ROWS.trim().split("\n").map(parseRow);

/** Spellings differ in `.`, `-` and `_`: sse4_1 and sse4.1 are one name. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/[._]/g, "-");
}

const BY_NAME = new Map(FEATURES.map((feature) => [canonical(feature.name), feature]));

/** The feature of that name or alias, in any spelling. */
export function findFeature(name: string): Feature | undefined {
  const known = BY_NAME.get(canonical(name));
  if (known !== undefined) return known;
  const alias = ALIASES[name.toLowerCase()];
  return alias === undefined ? undefined : BY_NAME.get(canonical(alias));
}
