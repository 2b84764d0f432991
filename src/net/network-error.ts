/** A network that cannot be set up. The message is one line: what was expected, what was found, what to do. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
}
