/**
 * The ten calendar registers of an MC146818, and their forms: BCD or binary, 24 or 12 hours.
 *
 * Inside the emulator a date is a number of seconds since 1970-01-01 00:00:00 of the clock's own time zone.
 */

/** Register numbers that hold the calendar (data sheet, "Address Map"; century as the FADT declares it). */
export const CALENDAR = {
  SECONDS: 0x00,
  MINUTES: 0x02,
  HOURS: 0x04,
  DAY_OF_WEEK: 0x06,
  DATE_OF_MONTH: 0x07,
  MONTH: 0x08,
  YEAR: 0x09,
  CENTURY: 0x32,
} as const;

/** How the registers are encoded: register B's DM and 24/12 bits. */
export interface CalendarFormat {
  readonly binary: boolean;
  readonly hours24: boolean;
}

/** In 12-hour mode the most significant bit of the hours register says PM. */
const PM = 0x80;

export const SECONDS_PER_DAY = 86_400;

function encode(value: number, format: CalendarFormat): number {
  return format.binary ? value : (Math.floor(value / 10) << 4) | (value % 10);
}

function decode(raw: number, format: CalendarFormat): number {
  return format.binary ? raw : (raw >> 4) * 10 + (raw & 0xf);
}

export function encodeHours(hours: number, format: CalendarFormat): number {
  if (format.hours24) return encode(hours, format);
  return encode(hours % 12 || 12, format) | (hours >= 12 ? PM : 0);
}

function decodeHours(raw: number, format: CalendarFormat): number {
  if (format.hours24) return decode(raw, format);
  return (decode(raw & ~PM, format) % 12) + (raw & PM ? 12 : 0);
}

/** Registers by number for the date `seconds`; Sunday is day 1. */
export function encodeCalendar(seconds: number, format: CalendarFormat): Map<number, number> {
  const date = new Date(seconds * 1000);
  return new Map([
    [CALENDAR.SECONDS, encode(date.getUTCSeconds(), format)],
    [CALENDAR.MINUTES, encode(date.getUTCMinutes(), format)],
    [CALENDAR.HOURS, encodeHours(date.getUTCHours(), format)],
    [CALENDAR.DAY_OF_WEEK, encode(date.getUTCDay() + 1, format)],
    [CALENDAR.DATE_OF_MONTH, encode(date.getUTCDate(), format)],
    [CALENDAR.MONTH, encode(date.getUTCMonth() + 1, format)],
    [CALENDAR.YEAR, encode(date.getUTCFullYear() % 100, format)],
    [CALENDAR.CENTURY, encode(Math.floor(date.getUTCFullYear() / 100), format)],
  ]);
}

/**
 * The date that `registers` show. Values out of range carry over (day 32 is day 1 of the next month); the
 * day of the week is not used.
 */
export function decodeCalendar(registers: ReadonlyMap<number, number>, format: CalendarFormat): number {
  const field = (register: number): number => decode(registers.get(register)!, format);
  const year = field(CALENDAR.CENTURY) * 100 + field(CALENDAR.YEAR);
  // Date.UTC takes years 0-99 for 1900-1999: go by way of a leap-year multiple of 400 years.
  const base = Date.UTC(
    year + 400,
    field(CALENDAR.MONTH) - 1,
    field(CALENDAR.DATE_OF_MONTH),
    decodeHours(registers.get(CALENDAR.HOURS)!, format),
    field(CALENDAR.MINUTES),
    field(CALENDAR.SECONDS),
  );
  return base / 1000 - 146_097 * SECONDS_PER_DAY;
}

/** The three alarm registers as written. 11xx_xxxx stands for any value. */
export interface Alarm {
  readonly seconds: number;
  readonly minutes: number;
  readonly hours: number;
}

function matches(alarm: number, register: number): boolean {
  return (alarm & 0xc0) === 0xc0 || alarm === register;
}

/** The first second after `seconds` at which the alarm matches; `Infinity` if no time of day does. */
export function nextAlarm(seconds: number, alarm: Alarm, format: CalendarFormat): number {
  const limit = seconds + SECONDS_PER_DAY;
  let time = seconds + 1;
  while (time <= limit) {
    const ofDay = ((time % SECONDS_PER_DAY) + SECONDS_PER_DAY) % SECONDS_PER_DAY;
    if (!matches(alarm.hours, encodeHours(Math.floor(ofDay / 3600), format))) {
      time += 3600 - (ofDay % 3600);
    } else if (!matches(alarm.minutes, encode(Math.floor(ofDay / 60) % 60, format))) {
      time += 60 - (ofDay % 60);
    } else if (!matches(alarm.seconds, encode(ofDay % 60, format))) {
      time += 1;
    } else {
      return time;
    }
  }
  return Number.POSITIVE_INFINITY;
}
