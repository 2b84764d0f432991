/** An image cannot be built from what was given. The message is one line: what, found, remedy. */
export class BuildError extends Error {
  override readonly name = "BuildError";
  /** What a tool printed, e.g. the compiler's messages; to be shown before the line. Empty: nothing. */
  readonly details: string;

  constructor(message: string, details = "") {
    super(message);
    this.details = details;
  }
}
