/** What the user gave cannot be used. The message is one line: expected, found, remedy. */
export class UserError extends Error {
  override readonly name = "UserError";
}

/** One line, whatever the text held: line ends and control characters of file names become spaces. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim();
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EISDIR: "a directory",
  ENOTDIR: "a part of its path is not a directory",
  ENOSPC: "no space left on the device",
  EROFS: "a read-only file system",
  ELOOP: "too many symbolic links",
  ENAMETOOLONG: "its name is too long",
  EMFILE: "too many open files",
  ENXIO: "no such device",
  EIO: "an input or output error",
  EFBIG: "a file larger than allowed",
  EDQUOT: "a full disk quota",
  ECONNREFUSED: "that the connection is refused",
  ECONNRESET: "that the other end broke the connection off",
  ENOTFOUND: "no such host",
  ETIMEDOUT: "no answer",
  EHOSTUNREACH: "no way to the host",
  ENETUNREACH: "no way to its network",
  ENOTSOCK: "a file that is not a socket",
};

/** An operating-system error in a few words. */
export function systemErrorText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return SYSTEM_ERRORS[code ?? ""] ?? code ?? message;
}
