/**
 * What the load generator asks the servers of src/ukl-kernel/apps, and what they have to answer, byte for byte.
 */

export interface Answer {
  readonly bytes: Uint8Array;
  /** Where a date stands (RFC 9110 5.6.7, IMF-fixdate), which is the guest's; -1: there is none. */
  readonly date: number;
}

export interface Exchange {
  readonly request: Uint8Array;
  readonly answer: Answer;
}

/** A kind of requests to a kind of server. */
export interface RequestKind {
  /** As `--calls` takes it. */
  readonly name: string;
  /** Images are called `SERVER-MODE.bin`. */
  readonly server: string;
  readonly meaning: string;
  readonly port: number;
  /** What is asked once, before the load, so that the load's answers can be given. */
  readonly preparation: readonly Exchange[];
  /** The request of a number, from 0. Neighbours differ where the protocol can tell them apart. */
  exchange(number: number): Exchange;
}

/** `/index.html` of the HTTP server's images: images/http-index.html. */
export const HTTP_PAGE = `<!doctype html>
<html lang="en">
<title>ukl-emu</title>
<p>A small page, which every request of a measurement asks for.</p>
</html>
`;

const DATE_LENGTH = 29;
const DATE =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const exchange = (request: string, answer: string, date = -1): Exchange => ({
  request: bytesOf(request),
  answer: { bytes: bytesOf(answer), date },
});

/** The answer whose date is still to be filled in: its place holds as many other letters. */
const HEAD = "HTTP/1.1 200 OK\r\nDate: ";
const HTTP_GET = exchange(
  "GET /index.html HTTP/1.1\r\nHost: 10.0.2.15\r\n\r\n",
  `${HEAD}${"?".repeat(DATE_LENGTH)}\r\nContent-Type: text/html\r\nContent-Length: ${HTTP_PAGE.length}\r\n\r\n${HTTP_PAGE}`,
  HEAD.length,
);

/** A command of RESP2: an array of bulk strings. */
const command = (...words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`;

/** Keys that SET and GET go through in turn. */
const KEYS = 64;
const key = (number: number): string => `key:${String(number % KEYS).padStart(12, "0")}`;
const value = (number: number): string => `value of key ${String(number % KEYS).padStart(19, "0")}`;

const ping = exchange(command("PING"), "+PONG\r\n");
const sets = Array.from({ length: KEYS }, (_, i) => exchange(command("SET", key(i), value(i)), "+OK\r\n"));
const gets = Array.from({ length: KEYS }, (_, i) =>
  exchange(command("GET", key(i)), `$${value(i).length}\r\n${value(i)}\r\n`),
);

export const REQUEST_KINDS: readonly RequestKind[] = [
  {
    ...{ name: "http-get", server: "http", port: 80, preparation: [] },
    meaning: `HTTP GET of a page of ${HTTP_PAGE.length} bytes on a connection that stays`,
    exchange: () => HTTP_GET,
  },
  {
    ...{ name: "ping", server: "keyvalue", port: 6379, preparation: [] },
    meaning: "PING of the key-value server",
    exchange: () => ping,
  },
  {
    ...{ name: "set", server: "keyvalue", port: 6379, preparation: [] },
    meaning: `SET of a key of ${key(0).length} bytes to a value of ${value(0).length}`,
    exchange: (number) => sets[number % KEYS]!,
  },
  {
    ...{ name: "get", server: "keyvalue", port: 6379, preparation: sets },
    meaning: "GET of such a key",
    exchange: (number) => gets[number % KEYS]!,
  },
];

/**
 * Compares what has come so far with the answer that is due.
 * @returns null if it may become that answer, or is; else what was expected and found, in one line
 */
export function difference({ bytes, date }: Answer, found: Uint8Array): string | null {
  const length = Math.min(bytes.length, found.length);
  for (let i = 0; i < length; i++) {
    const inDate = date >= 0 && i >= date && i < date + DATE_LENGTH;
    if (!inDate && bytes[i] !== found[i]) return tell(bytes, found, i);
  }
  if (date < 0 || found.length < date + DATE_LENGTH) return null;
  const text = textOf(found.subarray(date, date + DATE_LENGTH));
  return DATE.test(text) ? null : `expected a date, found ${JSON.stringify(text)}`;
}

/** What a line can hold. */
const LONGEST_SHOWN = 40;

function tell(expected: Uint8Array, found: Uint8Array, at: number): string {
  const shown = (bytes: Uint8Array): string => JSON.stringify(textOf(bytes.subarray(at, at + LONGEST_SHOWN)));
  return `expected ${shown(expected)} at byte ${at}, found ${shown(found)}`;
}
