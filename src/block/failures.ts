/** What becomes of a host's failure: the user is told once for each kind, the guest's request fails. */
import { StoreError } from "../devices/virtio/block.ts";

export type Operation = "read" | "write" | "flush";

/** Told of the first failure of each kind: an operation and the host's error, or what is wrong with the image. */
export type FailureListener = (operation: Operation, error: unknown) => void;

export class Failures {
  readonly #listener: FailureListener;
  readonly #told = new Set<string>();

  constructor(listener: FailureListener) {
    this.#listener = listener;
  }

  /** @throws StoreError in place of whatever `run` throws */
  attempt(operation: Operation, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.tell(operation, error);
      throw new StoreError((error as Error).message);
    }
  }

  tell(operation: Operation, error: unknown): void {
    // What is wrong with an image has many wordings and is one kind: the name of the error's class.
    const { code, name, message } = error as NodeJS.ErrnoException;
    const kind = name === "Error" ? `${operation} ${code ?? message}` : name;
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    this.#listener(operation, error);
  }
}
