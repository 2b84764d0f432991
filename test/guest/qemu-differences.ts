/**
 * Checks that QEMU's own interpreter of x86 (`-accel tcg`, seen with 7.2) does not pass though the manual is on
 * their side: name of the check, then what QEMU does and where the manual says otherwise.
 */
export const QEMU_DIFFERENCES: Readonly<Record<string, string>> = {};
