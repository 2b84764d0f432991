import { describe, expect, test } from "vitest";
import { formatIpv4, isUnicast, parseIpv4 } from "../../../src/net/ipv4-address.ts";
import { unreachableCode } from "../../../src/net/user/host-stream.ts";
import { UserNetwork } from "../../../src/net/user/network.ts";
import { parseHostForward } from "../../../src/net/user/options.ts";
import { parseServer } from "../../../src/net/user/resolvers.ts";

describe("hostfwd", () => {
  test.each([
    ["tcp::8080-:80", ["tcp", "127.0.0.1", 8080, "10.0.2.15", 80]],
    ["::8080-:80", ["tcp", "127.0.0.1", 8080, "10.0.2.15", 80]],
    ["udp:0.0.0.0:0-10.0.2.40:53", ["udp", "0.0.0.0", 0, "10.0.2.40", 53]],
    ["tcp:127.0.0.2:65535-:65535", ["tcp", "127.0.0.2", 65_535, "10.0.2.15", 65_535]],
  ])("%s", (text, expected) => {
    const { protocol, hostAddress, hostPort, guestAddress, guestPort } = parseHostForward(text);
    expect([protocol, hostAddress, hostPort, formatIpv4(guestAddress), guestPort]).toEqual(expected);
  });

  const wrong: [string, string][] = [
    ["", "expected tcp|udp:[ADDRESS]:PORT-[GUEST]:PORT"],
    ["tcp:8080", "expected tcp|udp:"],
    ["sctp::1-:2", "expected tcp|udp:"],
    ["tcp::8080-80", "expected tcp|udp:"],
    ["tcp::65536-:80", 'a port of the host from 0 to 65535, found "65536"'],
    ["tcp::-:80", 'a port of the host from 0 to 65535, found ""'],
    ["tcp::1e3-:80", 'found "1e3"'],
    ["tcp::8080-:0", 'a port of the guest from 1 to 65535, found "0"'],
    ["tcp:localhost:8080-:80", 'expected an IPv4 address, found "localhost"'],
    ["tcp:1.2.3.256:8080-:80", "expected an IPv4 address"],
    ["tcp::8080-10.0.3.1:80", 'expected an address of the guest\'s network, 10.0.2.0/24, found "10.0.3.1"'],
    ["tcp::8080-10.0.2.2:80", "expected an address of the guest's network"],
  ];
  test.each(wrong)("%s", (text, message) => {
    expect(() => parseHostForward(text)).toThrow(message);
  });
});

test.each([575, 65_536, 1500.5, Number.NaN])("an MTU of %s", (mtu) => {
  expect(() => new UserNetwork({ mtu })).toThrow(`mtu: expected a number from 576 to 65535, found ${mtu}`);
});

test("addresses", () => {
  for (const text of ["0.0.0.0", "255.255.255.255", "10.0.2.15"])
    expect(formatIpv4(parseIpv4(text)!)).toBe(text);
  for (const text of [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.-4",
    "1.2.3.4 ",
    "0x1.2.3.4",
    "1.2.3.999",
  ]) {
    expect(parseIpv4(text), text).toBeNull();
  }
  const unicast = ["8.8.8.8", "0.1.1.1", "127.1.1.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"];
  expect(unicast.map((text) => isUnicast(parseIpv4(text)!))).toEqual([
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});

test("name servers as the host lists them", () => {
  expect(["1.2.3.4", "1.2.3.4:99", "fe80::1%eth0", "::1", "[::1]:99"].map(parseServer)).toEqual([
    { address: "1.2.3.4", port: 53 },
    { address: "1.2.3.4", port: 99 },
    { address: "fe80::1%eth0", port: 53 },
    { address: "::1", port: 53 },
    { address: "::1", port: 99 },
  ]);
});

test("what a failed connect of the host means to the guest", () => {
  const code = (name: string) => unreachableCode(Object.assign(new Error(name), { code: name }));
  const names = [
    "ECONNREFUSED",
    "ECONNRESET",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "ETIMEDOUT",
    "EACCES",
    "EMFILE",
  ];
  expect(names.map(code)).toEqual([null, null, 0, 1, 1, 13, null]);
});
