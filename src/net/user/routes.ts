/** Where on the host something leads that the guest sends to an address. This is the place that says what a guest may reach. */
import { UNREACHABLE, type UnreachableCode } from "../icmp.ts";
import { type Endpoint, formatIpv4, isUnicast } from "../ipv4-address.ts";
import { DNS_PORT, DNS_SERVER, HOST, isOnNetwork } from "./addresses.ts";
import type { HostEndpoint, Resolvers } from "./resolvers.ts";

export type Route =
  | { readonly to: HostEndpoint }
  /** Not to be reached; what ICMP says about it. */
  | { readonly unreachable: UnreachableCode };

export interface RouteOptions {
  readonly hostSockets: boolean;
  readonly restrict: boolean;
  readonly loopback: boolean;
}

export class Routes {
  readonly #options: RouteOptions;
  readonly #resolvers: Resolvers;

  constructor(options: RouteOptions, resolvers: Resolvers) {
    this.#options = options;
    this.#resolvers = resolvers;
  }

  find({ address, port }: Endpoint): Route {
    const { hostSockets, restrict, loopback } = this.#options;
    if (!hostSockets || restrict) return { unreachable: UNREACHABLE.PROHIBITED };
    if (address === DNS_SERVER) {
      const server = this.#resolvers.current;
      if (port !== DNS_PORT || server === null) return { unreachable: UNREACHABLE.PORT };
      return { to: server };
    }
    if (address === HOST) {
      return loopback ? { to: { address: "127.0.0.1", port } } : { unreachable: UNREACHABLE.PROHIBITED };
    }
    // On this network there is nobody else. Loopback and "this host" addresses would be the host's own if they got through.
    if (isOnNetwork(address) || !isUnicast(address)) return { unreachable: UNREACHABLE.HOST };
    return { to: { address: formatIpv4(address), port } };
  }
}
