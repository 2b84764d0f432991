/** Where the memory operands of an instruction lie in their segment (SDM vol. 1, 3.7.5). */
import { type Instruction, Register, RegisterExt } from "iced-x86";

/** Bits of the explicit memory operand's address. */
export function addressBits(i: Instruction): number {
  const named = i.memoryBase === Register.None ? i.memoryIndex : i.memoryBase;
  return named === Register.None ? i.memoryDisplSize * 8 : RegisterExt.size(named) * 8;
}

/** Offset of the explicit memory operand, unsigned; `displacement` as the instruction's bytes have it now. */
export function effectiveOffset(i: Instruction, gpr: BigUint64Array, displacement: bigint): bigint {
  const bits = addressBits(i);
  if (i.isIpRelMemoryOperand) return BigInt.asUintN(bits, i.nextIP + displacement);
  const base = registerValue(gpr, i.memoryBase);
  const index = registerValue(gpr, i.memoryIndex) * BigInt(i.memoryIndexScale);
  return BigInt.asUintN(bits, base + index + displacement);
}

function registerValue(gpr: BigUint64Array, register: Register): bigint {
  if (register === Register.None) return 0n;
  return BigInt.asUintN(RegisterExt.size(register) * 8, gpr[RegisterExt.number(register)]!);
}

/** Bits 63-47 of a linear address are alike (SDM vol. 1, 3.3.7.1; the host has four-level paging). */
export function isCanonical(address: bigint): boolean {
  return BigInt.asIntN(48, address) === BigInt.asIntN(64, address);
}
