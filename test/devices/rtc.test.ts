import { beforeEach, describe, expect, it } from "vitest";
import { Rtc } from "../../src/devices/rtc.ts";
import { EventClock, MS, runFor, S, TestLine, US } from "./rig.ts";

const START = Date.UTC(2025, 1, 28, 23, 59, 57) / 1000;
let clock: EventClock;
let irq: TestLine;
let rtc: Rtc;

beforeEach(() => {
  clock = new EventClock();
  irq = new TestLine();
  rtc = new Rtc({ clock, irq, startDate: START, memorySize: 512 << 20 });
});

const read = (register: number) => {
  rtc.write(0, 1, register);
  return rtc.read(1, 1);
};
const write = (register: number, value: number) => {
  rtc.write(0, 1, register);
  rtc.write(1, 1, value);
};
/** Century, year, month, date, hours, minutes, seconds as the registers show them, in hexadecimal. */
const date = () => [0x32, 9, 8, 7, 4, 2, 0].map((r) => read(r).toString(16).padStart(2, "0")).join(" ");

describe("calendar", () => {
  it("shows the start date in BCD and 24 hours, and counts on", () => {
    expect(date()).toBe("20 25 02 28 23 59 57");
    expect(read(6)).toBe(6); // Friday
    runFor(clock, 3 * S);
    expect(date()).toBe("20 25 03 01 00 00 00");
    expect(read(6)).toBe(7);
  });

  it("knows leap years", () => {
    write(0x0b, 0x82);
    [0x32, 9, 8, 7, 4, 2, 0].forEach((r, i) => {
      write(r, [0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59][i]);
    });
    write(0x0b, 0x02);
    runFor(clock, S);
    expect(date()).toBe("20 24 02 29 00 00 00");
  });

  it("SET = 1 stops the updates, and what was written is where it goes on, in any order of writing", () => {
    write(0x0b, 0x82);
    runFor(clock, 10 * S);
    expect(date()).toBe("20 25 02 28 23 59 57");
    write(8, 0x12);
    write(7, 0x31);
    write(9, 0x99);
    write(0x32, 0x19);
    write(0x0b, 0x02);
    expect(date()).toBe("19 99 12 31 23 59 57");
    runFor(clock, 3 * S);
    expect(date()).toBe("20 00 01 01 00 00 00");
  });

  it("DM = 1 is binary and 24/12 = 0 has PM in bit 7", () => {
    write(0x0b, 0x86);
    [0x32, 9, 8, 7, 4, 2, 0].forEach((r, i) => {
      write(r, [20, 25, 12, 31, 23, 59, 58][i]);
    });
    write(0x0b, 0x06);
    expect(date()).toBe("14 19 0c 1f 17 3b 3a");
    runFor(clock, 2 * S);
    expect(date()).toBe("14 1a 01 01 00 00 00");
    write(0x0b, 0x80);
    for (const [i, r] of [0x32, 9, 8, 7, 0].entries()) write(r, [0x20, 0x25, 0x12, 0x31, 0][i]);
    write(4, 0x92);
    write(2, 0x30);
    write(0x0b, 0x00);
    expect(read(4)).toBe(0x92); // 12:30 PM
    runFor(clock, 3600 * S);
    expect(read(4)).toBe(0x81);
    runFor(clock, 11 * 3600 * S);
    expect(read(4)).toBe(0x12); // 12:30 AM
  });

  it("the day of the week just counts: a new date does not change it", () => {
    write(0x0b, 0x82);
    write(7, 0x01);
    write(0x0b, 0x02);
    expect(read(6)).toBe(6);
    write(6, 2);
    expect(read(6)).toBe(2);
    runFor(clock, 86_400 * S);
    expect(read(6)).toBe(3);
  });

  it("UIP is 1 in the 244 us before an update, and a reader that saw 0 reads a whole date", () => {
    expect(read(0x0a) & 0x80).toBe(0);
    runFor(clock, S - 245 * US);
    expect(read(0x0a) & 0x80).toBe(0);
    runFor(clock, 2 * US);
    expect(read(0x0a) & 0x80).toBe(0x80);
    expect(read(0)).toBe(0x57);
    runFor(clock, 243 * US);
    expect(read(0x0a) & 0x80).toBe(0);
    expect(read(0)).toBe(0x58);
  });

  it("the first update comes half a second after the divider chain is released", () => {
    write(0x0a, 0x76);
    runFor(clock, 5 * S);
    expect(read(0)).toBe(0x57);
    write(0x0a, 0x26);
    runFor(clock, 499 * MS);
    expect(read(0)).toBe(0x57);
    runFor(clock, 2 * MS);
    expect(read(0)).toBe(0x58);
  });
});

describe("interrupts", () => {
  it("the periodic interrupt comes at the rate of RS and holds IRQ until register C is read", () => {
    write(0x0a, 0x26); // 1024 Hz
    read(0x0c);
    write(0x0b, 0x42);
    runFor(clock, 10 * MS);
    expect(irq.rises).toBe(1);
    expect(irq.level).toBe(true);
    expect(read(0x0c)).toBe(0xc0);
    expect(irq.level).toBe(false);
    expect(read(0x0c)).toBe(0);
    let taken = 0;
    for (let i = 0; i < 4000; i++) {
      runFor(clock, 250 * US);
      if (irq.level) {
        taken++;
        read(0x0c);
      }
    }
    expect(taken).toBe(1024);
  });

  it("the update-ended interrupt comes once a second", () => {
    read(0x0c);
    write(0x0b, 0x12);
    runFor(clock, S);
    expect(irq.level).toBe(true);
    expect(read(0x0c) & 0xb0).toBe(0x90);
    runFor(clock, S - 1);
    expect(irq.level).toBe(false);
    runFor(clock, 1);
    expect(irq.level).toBe(true);
  });

  it("the alarm interrupt comes when hours, minutes and seconds match", () => {
    write(5, 0x00);
    write(3, 0x01);
    write(1, 0x30);
    read(0x0c);
    write(0x0b, 0x22);
    runFor(clock, (3 + 60 + 30) * S - 1);
    expect(irq.level).toBe(false);
    runFor(clock, 1);
    expect(irq.level).toBe(true);
    expect(read(0x0c) & 0xa0).toBe(0xa0);
    expect(date()).toBe("20 25 03 01 00 01 30");
  });

  it("an alarm register with its two top bits set matches anything: once a minute", () => {
    write(5, 0xff);
    write(3, 0xc0);
    write(1, 0x15);
    read(0x0c);
    write(0x0b, 0x22);
    let taken = 0;
    for (let i = 0; i < 600; i++) {
      runFor(clock, S);
      if (irq.level) {
        taken++;
        expect(read(0)).toBe(0x15);
        read(0x0c);
      }
    }
    expect(taken).toBe(10);
  });

  it("flags are set without their enables, for a guest that polls", () => {
    read(0x0c);
    runFor(clock, 2 * S);
    expect(read(0x0c)).toBe(0x50);
    expect(irq.rises).toBe(0);
  });

  it("an idle clock has no events", () => {
    expect(clock.nextDeadline()).toBeNull();
  });
});

describe("CMOS RAM", () => {
  it("shows the memory size where a PC's firmware writes it, with a right checksum", () => {
    expect(read(0x15) | (read(0x16) << 8)).toBe(640);
    expect(read(0x17) | (read(0x18) << 8)).toBe(65_535);
    expect(read(0x34) | (read(0x35) << 8)).toBe((512 - 16) * 16);
    let sum = 0;
    for (let i = 0x10; i <= 0x2d; i++) sum += read(i);
    expect((read(0x2e) << 8) | read(0x2f)).toBe(sum);
    expect(read(0x0d)).toBe(0x80);
  });

  it("keeps what is written, over a reset too", () => {
    write(0x0f, 0x0a);
    write(0x7f, 0x5a);
    rtc.reset();
    expect([read(0x0f), read(0x7f)]).toEqual([0x0a, 0x5a]);
  });
});
