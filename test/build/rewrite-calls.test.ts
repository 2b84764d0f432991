import { describe, expect, test } from "vitest";
import { loadDecoder } from "../../src/build/disassembly.ts";
import { replaceHalts, rewriteForTrampoline } from "../../src/build/rewrite-calls.ts";
import { assemble, hasTools } from "./assemble.ts";

/** Ends the program with the status in RDI: itself a system call in tail position. */
const EXIT = `
	.balign 16
	.type leave, @function
leave:	mov $60, %eax
	syscall
	ud2
	.size leave, . - leave
`;

/** A program that ends with the status that `function` returns in RAX. */
const main = (body: string): string => `
	.type _start, @function
_start:	call function
	mov %rax, %rdi
	jmp leave
	.size _start, . - _start
	.balign 16
	.type function, @function
function:
${body}
	.size function, . - function
${EXIT}`;

/** Form of the SYSCALL in \`function\`. */
const formOf = async (body: string): Promise<string> => {
  const { rewrites } = await assemble(main(body));
  return rewrites.find(({ functionName }) => functionName !== "leave")!.form;
};

// write(1, text, 5) returns 5.
const WRITE = `
	mov $1, %edi
	lea text(%rip), %rsi
	mov $5, %edx`;
const TEXT = `
	.section .rodata
text:	.ascii "hello"
	.text`;

describe.skipIf(!hasTools)("SYSCALL becomes a call (needs gcc and ld)", () => {
  test("SYSCALL RET with padding behind it becomes a jump to the entry code, without a stub", async () => {
    const { rewrites, run } = await assemble(
      main(`${WRITE}\n mov $1, %eax\n syscall\n ret\n .balign 16, 0x90 ${TEXT}`),
    );
    const rewrite = rewrites.find(({ functionName }) => functionName === "function");
    expect(rewrite).toMatchObject({ form: "jump", stubSize: 0 });
    expect(run()).toEqual({ status: 5, stdout: "hello" });
  });

  test("MOV EAX, imm32; SYSCALL becomes one CALL of its own length, and the stub has MOV and JMP only", async () => {
    const { rewrites, run } = await assemble(
      main(`${WRITE}\n mov $1, %eax\n syscall\n add $1, %eax\n ret ${TEXT}`),
    );
    const rewrite = rewrites.find(({ functionName }) => functionName === "function")!;
    expect(rewrite).toMatchObject({ form: "call-stub", stubSize: 10, end: rewrite.start + 7 });
    expect(run()).toEqual({ status: 6, stdout: "hello" });
  });

  test("a displaced RIP-relative operand still names the same address", async () => {
    const { rewrites, run } = await assemble(
      main(
        `mov $1, %edi\n mov $5, %edx\n mov $1, %eax\n lea text(%rip), %rsi\n syscall\n add $2, %eax\n ret ${TEXT}`,
      ),
    );
    expect(rewrites[0]!.before).toHaveLength(1);
    expect(run()).toEqual({ status: 7, stdout: "hello" });
  });

  test("an instruction that is the target of a jump is never inside a window", async () => {
    // `again` is SYSCALL itself, so the window can only reach behind it.
    const { rewrites, run } = await assemble(
      main(`${WRITE}
	mov $2, %ebx
	mov $1, %eax
again:	syscall
	mov $1, %eax
	dec %ebx
	jnz again
	mov $9, %eax
	ret ${TEXT}`),
    );
    const rewrite = rewrites.find(({ functionName }) => functionName === "again")!;
    expect(rewrite).toMatchObject({ form: "around", before: [], start: rewrite.address });
    expect(run()).toEqual({ status: 9, stdout: "hellohello" });
  });

  test("a jump table's targets are not overwritten: 32-bit offsets and 64-bit addresses", async () => {
    for (const [entry, jump] of [
      [".long case - table", "movslq (%rcx,%rbx,4), %rax\n add %rcx, %rax\n jmp *%rax"],
      [".quad case", "jmp *(%rcx,%rbx,8)"],
    ]) {
      const entries = [0, 1, 2].map((i) => entry!.replace("case", `.Lcase${i}`)).join("\n");
      // .Lcase1 is the instruction in front of SYSCALL, .Lcase2 is SYSCALL: 1 or 0 bytes may be displaced there.
      const { run } = await assemble(
        main(`mov $2, %ebx
	lea table(%rip), %rcx
	mov $1, %edi
	lea text(%rip), %rsi
	mov $1, %r12d
	${jump}
.Lcase0: mov $5, %edx
.Lcase1: mov $1, %eax
.Lcase2: mov $5, %edx
	mov %r12, %rax
	syscall
	mov $3, %eax
	ret
	.section .rodata
	.balign 8
table:	${entries}
	.text ${TEXT}`),
      );
      expect(run()).toEqual({ status: 3, stdout: "hello" });
    }
  });

  test("a branch behind SYSCALL moves with its target", async () => {
    const { rewrites, run } = await assemble(
      main(`${WRITE}
	mov $1, %eax
	jmp 1f
	nop
1:	syscall
	test %rax, %rax
	jns good
	mov $1, %eax
	ret
good:	mov $4, %eax
	ret ${TEXT}`),
    );
    const rewrite = rewrites.find(({ functionName }) => functionName === "function")!;
    expect(rewrite.form).toBe("around");
    expect(run()).toEqual({ status: 4, stdout: "hello" });
  });

  test("an instruction that uses RSP is not displaced by a call, which lowers RSP", async () => {
    expect(await formOf("push %rbx\n mov %rdi, 8(%rsp)\n syscall\n pop %rbx\n inc %eax\n ret")).toBe(
      "around",
    );
    expect(await formOf("push %rbx\n mov %rdi, 8(%rbx)\n syscall\n pop %rbx\n inc %eax\n ret")).toBe(
      "call-stub",
    );
  });

  test("SYSCALL RET without padding: displaced instructions, then a jump to the entry code", async () => {
    const body = `${WRITE}\n push $1\n pop %rax\n syscall\nend: ret\nnext: nop ${TEXT}`;
    const { rewrites, run } = await assemble(main(body));
    expect(rewrites.find(({ functionName }) => functionName === "function")!.form).toBe("jump-stub");
    expect(run()).toEqual({ status: 5, stdout: "hello" });
  });

  test("data below RSP survives the call", async () => {
    const { rewrites, run } = await assemble(
      main(`movq $0x6f6c6c65, -8(%rsp)
	mov $1, %edi
	lea -8(%rsp), %rsi
	mov $4, %edx
	mov $1, %eax
	syscall
	mov -8(%rsp), %eax
	and $0x7f, %eax
	ret`),
    );
    const rewrite = rewrites.find(({ functionName }) => functionName === "function")!;
    expect(rewrite).toMatchObject({ form: "around", guarded: true });
    expect(run()).toEqual({ status: 0x65, stdout: "ello" });
  });

  test("where branches leave no room, the error names the function", async () => {
    const body = "1: nop\n2: syscall\n3: nop\n4: jrcxz 1b\n loop 2b\n loop 3b\n loop 4b\n ret";
    await expect(assemble(main(body))).rejects.toThrow(
      /^function: expected room for a call in place of SYSCALL/,
    );
  });

  test("0F 05 in an operand, and in data between functions, is left alone", async () => {
    const { elf, rewrites } = await assemble(
      main(`mov $0x050f050f, %eax\n ret\n.type data, @object\ndata: .byte 0x0f, 0x05\n .size data, 2\n`),
    );
    expect(rewrites.map(({ functionName }) => functionName)).toEqual(["leave"]);
    expect([...elf.at(elf.addressOf("function"), 5)]).toEqual([0xb8, 0x0f, 0x05, 0x0f, 0x05]);
  });
});

describe("other rewriting", () => {
  const parts = async (bytes: number[]) => {
    const decode = await loadDecoder();
    const data = Uint8Array.from(bytes);
    return [{ address: 0x1000, bytes: data, instructions: decode(data, 0x1000) }];
  };

  test("zpoline: SYSCALL becomes CALL RAX; the same bytes in an operand do not", async () => {
    const code = await parts([0xb8, 0x0f, 0x05, 0, 0, 0x0f, 0x05, 0xc3]);
    expect(rewriteForTrampoline(code)).toBe(1);
    expect([...code[0]!.bytes]).toEqual([0xb8, 0x0f, 0x05, 0, 0, 0xff, 0xd0, 0xc3]);
  });

  test("HLT becomes INT3", async () => {
    const code = await parts([0xb8, 0xf4, 0, 0, 0, 0xf4, 0xc3]);
    expect(replaceHalts(code)).toBe(1);
    expect([...code[0]!.bytes]).toEqual([0xb8, 0xf4, 0, 0, 0, 0xcc, 0xc3]);
  });
});
