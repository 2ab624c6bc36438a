// How a statement fails, by the numbers and names of the real server.

/** What a server answers a statement with, as a driver tells it. */
export class SqlFailure extends Error {
  readonly errno: number;
  readonly code: string;

  constructor(errno: number, code: string, message: string) {
    super(message);
    this.errno = errno;
    this.code = code;
  }
}
