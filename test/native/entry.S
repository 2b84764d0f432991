/*
 * Process entry and signal entry of the native runner. Both are assembly because the state on arrival is a
 * test case's: any flag may be set, any segment register may be null.
 */
        .text
        .globl  _start
_start:
        xorl    %ebp, %ebp
        andq    $-16, %rsp
        call    runner_main
        hlt

/* void on_signal(int signal, siginfo_t *info, ucontext_t *context): the handler of every signal. */
        .globl  on_signal
on_signal:
        movq    %rsp, %rbx              /* the frame; callee-saved, and sigreturn replaces it anyway */
        pushq   $2                      /* AC, DF, NT of the case must not act here */
        popfq
        andq    $-16, %rsp
        call    runner_signal           /* rdi, rsi, rdx as the kernel passed them */
        leaq    8(%rbx), %rsp           /* rt_sigreturn finds its frame 8 bytes below RSP */
        /* rt_sigreturn leaves NT and ID as they are at the system call (FIX_EFLAGS): set them here. */
        pushq   %rax
        popfq
        movl    $15, %eax               /* rt_sigreturn */
        syscall
        hlt

        .globl  restorer
restorer:
        movl    $15, %eax
        syscall
        hlt

        .section .note.GNU-stack,"",@progbits
