/*
 * Accesses to memory that may not be mapped. A page fault that cannot be resolved goes on at the address that
 * .fixups names for the instruction (arch/traps.c), with RCX as the string instruction left it.
 */
	.text

.macro FIXUP instruction, target
	.pushsection .fixups, "a"
	.quad	\instruction, \target
	.popsection
.endm

/* u64 copy_bytes(void *to, const void *from, u64 size): the number of bytes not copied. */
	.globl	copy_bytes
	.type	copy_bytes, @function
copy_bytes:
	movq	%rdx, %rcx
1:	rep movsb
2:	movq	%rcx, %rax
	ret
	FIXUP	1b, 2b
	.size	copy_bytes, . - copy_bytes

/* u64 clear_bytes(void *at, u64 size): the number of bytes not cleared. */
	.globl	clear_bytes
	.type	clear_bytes, @function
clear_bytes:
	movq	%rsi, %rcx
	xorl	%eax, %eax
1:	rep stosb
2:	movq	%rcx, %rax
	ret
	FIXUP	1b, 2b
	.size	clear_bytes, . - clear_bytes

	.section .note.GNU-stack, "", @progbits
