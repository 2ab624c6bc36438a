// A shorter lock wait for one statement, where a caller would rather be told than wait.

/**
 * MariaDB waits at most `seconds` for the row locks of this statement. MySQL has no such form and
 * reads the comment as nothing: there the session's lock wait holds.
 */
export function withLockWait(seconds: number, text: string): string {
  return `/*M! SET STATEMENT innodb_lock_wait_timeout = ${seconds} FOR */ ${text}`;
}
