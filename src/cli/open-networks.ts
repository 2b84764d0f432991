/** The networks behind `--net` while a guest runs, and `--pcap`. */
import { statSync } from "node:fs";
import type { FrameWork, NetworkLink } from "../devices/virtio/network-link.ts";
import type { Machine } from "../machine/machine.ts";
import { DEFAULT_START_DATE } from "../machine/platform.ts";
import type { MachineNetwork } from "../machine/virtio.ts";
import type { NetworkBackend } from "../net/backend.ts";
import { NetworkError } from "../net/network-error.ts";
import { Capture, type Direction } from "../net/pcap.ts";
import { StreamNetwork } from "../net/stream.ts";
import { UserNetwork } from "../net/user/network.ts";
import { oneLine, systemErrorText, UserError } from "./errors.ts";
import type { BackendOption, NetworkOption, UserNetworkOption } from "./networks.ts";
import { packageVersion } from "./version.ts";

const OPTION = "--net";

/** Which work back ends take: what a replay, which has none, must know of them. */
const TAKES_UNFINISHED: Readonly<Record<BackendOption["kind"], boolean>> = { user: true, stream: false };

const notSocket = () => Object.assign(new Error("not a socket"), { code: "ENOTSOCK" });

export class OpenNetworks {
  readonly networks: readonly MachineNetwork[];
  /** Told of what goes wrong on the host, in one line. */
  onFailure: (message: string) => void = () => {};

  readonly #options: readonly NetworkOption[];
  /** What is to be said at the beginning. */
  readonly #notices: string[] = [];
  readonly #backends: NetworkBackend[] = [];
  #capture: Capture | null = null;
  #now: () => number = () => 0;

  private constructor(options: readonly NetworkOption[], networks: MachineNetwork[]) {
    this.#options = options;
    this.networks = networks;
  }

  /**
   * Opens all or none.
   * @param replay nothing of the host's is needed: frames come from the recording, and those of the guest go nowhere
   * @throws UserError
   */
  static async open(options: readonly NetworkOption[], replay: boolean): Promise<OpenNetworks> {
    const networks: MachineNetwork[] = [];
    const opened = new OpenNetworks(options, networks);
    try {
      for (const [i, { backend: option, mac, mtu, queuePairs, transport }] of options.entries()) {
        const device = { mac, queuePairs, transport, ...(mtu === undefined ? {} : { mtu }) };
        if (replay) {
          const takesUnfinished = TAKES_UNFINISHED[option.kind];
          networks.push({ ...device, link: opened.#watched(i, { takesUnfinished, send() {} }) });
          continue;
        }
        const backend = await opened.#connect(option, mtu);
        opened.#backends.push(backend);
        networks.push({ ...device, link: opened.#watched(i, backend), source: backend });
      }
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  #connect(option: BackendOption, mtu: number | undefined): Promise<NetworkBackend> {
    switch (option.kind) {
      case "user":
        return this.#connectUser(option, mtu);
      case "stream":
        return this.#connectStream(option);
    }
  }

  async #connectUser(
    { forwards, restrict, loopback }: UserNetworkOption,
    mtu: number | undefined,
  ): Promise<NetworkBackend> {
    const backend = new UserNetwork({
      hostForwards: forwards,
      restrict,
      loopback,
      ...(mtu === undefined ? {} : { mtu }),
      log: (line) => this.onFailure(oneLine(line)),
    });
    try {
      await backend.start();
    } catch (error) {
      if (error instanceof NetworkError) throw new UserError(`${OPTION}: ${error.message}`);
      throw error;
    }
    for (const [i, { protocol, hostAddress, hostPort, guestPort }] of backend.hostForwards.entries()) {
      // Who leaves the choice of a port to the host wants to know which it is.
      if (forwards[i]!.hostPort !== 0) continue;
      this.#notices.push(
        `${protocol} port ${hostPort} of ${hostAddress} leads to the guest's port ${guestPort}`,
      );
    }
    return backend;
  }

  async #connectStream({ address, name }: BackendOption & { kind: "stream" }): Promise<NetworkBackend> {
    try {
      // To connect to another file is refused in the same words as to a socket that nobody listens at.
      if ("path" in address && !statSync(address.path).isSocket()) throw notSocket();
      const backend = await StreamNetwork.connect(address);
      backend.onEnd = (reason) =>
        this.onFailure(oneLine(`stream:${name}: ${reason}: the guest's network ends here`));
      return backend;
    } catch (error) {
      throw new UserError(
        `${OPTION}: stream:${name}: expected a socket that someone listens at, found ${systemErrorText(error)}`,
      );
    }
  }

  /** The link, and a look at what goes out over it. */
  #watched(device: number, link: NetworkLink): NetworkLink {
    return {
      takesUnfinished: link.takesUnfinished,
      send: (frame, work) => {
        this.#crosses(device, "from guest", frame, work);
        link.send(frame, work);
      },
    };
  }

  #crosses(device: number, direction: Direction, frame: Uint8Array, work: FrameWork): void {
    this.#capture?.frame(this.#now(), device, direction, frame, work);
  }

  /** A frame goes to the guest. */
  arrived(device: number, frame: Uint8Array, work: FrameWork): void {
    this.#crosses(device, "to guest", frame, work);
  }

  /** The machine is about to run. */
  begin(): void {
    for (const notice of this.#notices) this.onFailure(notice);
  }

  /** Keeps what crosses. @param write takes bytes at once */
  capture(machine: Machine, write: (bytes: Uint8Array) => void): void {
    this.#now = () => machine.time;
    this.#capture = new Capture({
      application: `ukl-emu ${packageVersion()}`,
      startDate: DEFAULT_START_DATE,
      interfaces: this.#options.map(({ mac }, i) => ({ name: `net${i}`, mac })),
      write,
    });
  }

  /** Between slices. */
  yield(): void {
    this.#capture?.flush();
  }

  /** May be called more than once. */
  close(): void {
    this.#capture?.flush();
    this.#capture = null;
    for (const backend of this.#backends) backend.close();
  }
}
