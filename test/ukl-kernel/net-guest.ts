/** Images with a network under QEMU: behind its user network, or with this process at the other end of the cable. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A port of 127.0.0.1 that nobody has. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("expected a port");
  return address.port;
}

/** A running guest. */
export class Guest {
  console = "";
  readonly #qemu: ChildProcess;
  readonly #work: string;
  readonly #waiting = new Set<() => void>();

  constructor(image: Uint8Array, network: readonly string[], commandLine = "") {
    this.#work = mkdtempSync(join(tmpdir(), "ukl-emu-net-"));
    const path = join(this.#work, "image.bin");
    writeFileSync(path, image);
    this.#qemu = spawn(
      "qemu-system-x86_64",
      [
        ...["-M", "q35", "-accel", "tcg", "-m", "128M", "-nodefaults", "-display", "none", "-no-reboot"],
        ...["-serial", "stdio", "-kernel", path, "-append", commandLine, ...network],
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    this.#qemu.stdout?.on("data", (bytes: Buffer) => {
      this.console += bytes.toString("latin1").replaceAll("\r", "");
      for (const look of this.#waiting) look();
    });
  }

  /** Until the console shows a text. */
  async shows(text: string): Promise<void> {
    if (this.console.includes(text)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.console.includes(text)) resolve();
    };
    this.#waiting.add(look);
    await promise;
    this.#waiting.delete(look);
  }

  async end(): Promise<void> {
    const over = once(this.#qemu, "exit");
    if (this.#qemu.exitCode === null) this.#qemu.kill("SIGKILL");
    if (this.#qemu.exitCode === null && this.#qemu.signalCode === null) await over;
    rmSync(this.#work, { recursive: true, force: true });
  }
}

/** The other end of a guest's cable: frames as QEMU's stream back end carries them, each behind 4 bytes of its size. */
export class Cable {
  readonly received: Buffer[] = [];
  readonly #server: Server;
  readonly #work: string;
  #socket: Socket | null = null;
  #rest = Buffer.alloc(0);
  #arrived = Promise.withResolvers<void>();

  constructor() {
    this.#work = mkdtempSync(join(tmpdir(), "ukl-emu-cable-"));
    this.#server = createServer((socket) => {
      this.#socket = socket;
      socket.on("error", () => {});
      socket.on("data", (bytes) => this.#take(Buffer.from(bytes)));
    });
  }

  /** QEMU's options. */
  async plug(): Promise<string[]> {
    const path = join(this.#work, "cable");
    this.#server.listen(path);
    await once(this.#server, "listening");
    return [
      ...["-netdev", `stream,id=net,server=off,addr.type=unix,addr.path=${path}`],
      ...["-device", "virtio-net-pci,netdev=net,mac=52:54:00:00:00:02"],
    ];
  }

  #take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readUInt32BE(0)) {
      const size = this.#rest.readUInt32BE(0);
      this.received.push(Buffer.from(this.#rest.subarray(4, 4 + size)));
      this.#rest = this.#rest.subarray(4 + size);
    }
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers<void>();
  }

  send(frame: Uint8Array): void {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(frame.length);
    this.#socket?.write(Buffer.concat([size, frame]));
  }

  /** The next frame that is wanted; what came before it is forgotten. */
  async frame(wanted: (frame: Buffer) => boolean): Promise<Buffer> {
    for (;;) {
      const arrived = this.#arrived.promise;
      for (let frame = this.received.shift(); frame !== undefined; frame = this.received.shift()) {
        if (wanted(frame)) return frame;
      }
      await arrived;
    }
  }

  unplug(): void {
    this.#socket?.destroy();
    this.#server.close();
    rmSync(this.#work, { recursive: true, force: true });
  }
}
