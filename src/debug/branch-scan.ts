/** Branches that may leave a range of addresses, found by disassembly. */

export interface DirectBranch {
  readonly kind: "call" | "jump";
  readonly address: bigint;
  readonly target: bigint;
}

export interface NearReturn {
  readonly address: bigint;
  /** Bytes that RET imm16 removes behind the return address. */
  readonly released: number;
}

/** JMP with a general register: where it leads is in the register. */
export interface RegisterJump {
  readonly address: bigint;
  /** Number of the register, as encoded. */
  readonly register: number;
}

export interface Branches {
  readonly direct: DirectBranch[];
  readonly returns: NearReturn[];
  readonly jumps: RegisterJump[];
}

/** Looks at 64-bit code from its first byte on. */
export type BranchScanner = (code: Uint8Array, rip: bigint) => Branches;

/** Loads iced-x86, which takes a moment. */
export async function loadBranchScanner(): Promise<BranchScanner> {
  const { Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register } = await import(
    "iced-x86"
  );
  return (code, rip) => {
    const branches: Branches = { direct: [], returns: [], jumps: [] };
    const decoder = new Decoder(64, code, DecoderOptions.None);
    decoder.ip = rip;
    const instruction = new Instruction();
    while (decoder.canDecode) {
      decoder.decodeOut(instruction);
      const { flowControl, ip: address } = instruction;
      if (instruction.mnemonic === Mnemonic.Ret) {
        const released = instruction.opCount === 1 ? instruction.immediate16 : 0;
        branches.returns.push({ address, released });
      } else if (instruction.opCount === 1 && instruction.op0Kind === OpKind.NearBranch64) {
        const kind = flowControl === FlowControl.Call ? "call" : "jump";
        branches.direct.push({ kind, address, target: instruction.nearBranchTarget });
      } else if (flowControl === FlowControl.IndirectBranch && instruction.op0Kind === OpKind.Register) {
        branches.jumps.push({ address, register: instruction.op0Register - Register.RAX });
      }
    }
    instruction.free();
    decoder.free();
    return branches;
  };
}
