/**
 * Sequence numbers (RFC 9293, 3.4). On the wire they are 32 bits and wrap around. Inside, a connection counts on past
 * 2^32, so that ordinary comparisons hold; numbers are exact for 9 petabytes.
 */

/** The number that is on the wire as `wire`, next to one that is known. */
export const unwrap = (reference: number, wire: number): number => reference + ((wire - reference) | 0);

export const wrap = (sequence: number): number => sequence >>> 0;
