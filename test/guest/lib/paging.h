/*
 * Pages of the window at SCRATCH: page n is entry n of `scratch_pt`, backed by page n of `free_pages` unless a
 * test says otherwise. Addresses of the window do not fit a sign-extended displacement: they go to registers.
 */
#define PAGE(n) (SCRATCH + (n) * 4096)

/* Maps page n of the window to page `frame` of free_pages with these low and high bits. Clobbers RAX, RBX. */
        .macro  MAP n:req, flags:req, frame=-1, high=0
        .if     \frame < 0
        movl    $free_pages+\n*4096, %eax
        .else
        movl    $free_pages+\frame*4096, %eax
        .endif
        orl     $(\flags), %eax
        movabsq $(\high), %rbx
        orq     %rbx, %rax
        movq    %rax, scratch_pt + \n * 8
        movl    $PAGE(\n), %eax
        invlpg  (%rax)
        .endm

/* RAX = bits A and D (and the other low bits that software sets) of the entry of page n. */
        .macro  ENTRY_BITS n:req
        movq    scratch_pt + \n * 8, %rax
        andl    $0xfff, %eax
        .endm
