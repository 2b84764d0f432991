/** The host's name servers, one of which stands behind 10.0.2.3. */
// Not by name: `setServers` replaces these functions, and names imported before would be the old ones.
import dns from "node:dns";
import { DNS_PORT } from "./addresses.ts";

export interface HostEndpoint {
  /** IPv4 or IPv6 in text, as node:net takes it. */
  readonly address: string;
  readonly port: number;
}

/** `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]:5`, as `dns.getServers` gives them. */
export function parseServer(text: string): HostEndpoint {
  const bracketed = /^\[(.*)\]:(\d+)$/.exec(text) ?? /^([^:]*):(\d+)$/.exec(text);
  return bracketed === null
    ? { address: text, port: DNS_PORT }
    : { address: bracketed[1]!, port: Number(bracketed[2]) };
}

export class Resolvers {
  readonly #servers: readonly HostEndpoint[];
  #current = 0;

  /** Asks the host anew each time a network is made. */
  constructor(servers: readonly string[] = dns.getServers()) {
    this.#servers = servers.map(parseServer);
  }

  /** Null if the host has none. */
  get current(): HostEndpoint | null {
    return this.#servers[this.#current % this.#servers.length] ?? null;
  }

  /** This one did not answer: the guest's next question goes to the next one. */
  failed(server: HostEndpoint): void {
    if (server === this.current) this.#current = (this.#current + 1) % this.#servers.length;
  }
}
