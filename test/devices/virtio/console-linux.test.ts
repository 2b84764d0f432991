/** Debian's console driver: what it writes comes out, what is typed comes in. Skipped without `images/fetch-debian.ts`. */
import { describe, expect, test } from "vitest";
import { hasLinux, runLinux } from "./linux.ts";

const SCRIPT = `stty -F /dev/hvc0 raw -echo
dd if=/dev/zero bs=1k count=40 2>/dev/null | tr '\\0' x >/dev/hvc0
echo
echo "type: now"
head -n 2 </dev/hvc0 >/tmp/line
echo "got $(cat /tmp/line | tr '\\n' ' ')"
grep virtio2 /proc/interrupts
`;

describe.skipIf(!hasLinux)("Debian's driver on the virtio console", () => {
  test.each(["pci", "mmio"] as const)("writes and reads over %s", { timeout: 300_000 }, async (transport) => {
    let text = "";
    let typed = 0;
    const unknown: string[] = [];
    const { lines, reason } = await runLinux(
      SCRIPT,
      {
        virtioConsole: transport,
        onConsole: (byte) => {
          text = (text + String.fromCharCode(byte)).slice(-20);
          if (text.includes("type: now\r\n")) typed ||= 1;
        },
        onUnknown: (message) => unknown.push(message),
      },
      (machine) => {
        if (typed === 0 || typed > 2) return false;
        machine.type(new TextEncoder().encode(["a first line\n", "and more\n"][typed - 1]));
        typed++;
        return true;
      },
    );
    expect(lines).toEqual(expect.arrayContaining(["x".repeat(40 * 1024), "got a first line and more "]));
    expect([reason, unknown]).toEqual(["power-off", []]);
  });
});
