/*
 * Sets and clears bits of a control register inside a TRY. Then RBX holds its old value, RCX its value now.
 * Clobbers RAX and RDX.
 */
        .macro  TRY_CR register:req, set=0, clear=0
        movq    %\register, %rax
        movq    %rax, %rbx
        movabsq $(\set), %rdx
        orq     %rdx, %rax
        movabsq $(\clear), %rdx
        notq    %rdx
        andq    %rdx, %rax
        TRY     movq %rax, %\register
        movq    %\register, %rcx
        .endm
