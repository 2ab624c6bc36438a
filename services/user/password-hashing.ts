// argon2id behind a bulkhead. A hash takes 19 MiB and some 35 ms of a core: without a bound a
// burst of logins would take the machine away from the orders.
import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { PlatformError } from "../contracts/errors.ts";
import { type Argon2Parameters, formatPhc, parsePhc } from "./domain/phc.ts";

/** The least that OWASP's cheat sheet on password storage allows. */
const PARAMETERS: Argon2Parameters = { memoryKib: 19_456, passes: 2, parallelism: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
export const HASHES_AT_ONCE_MAX = 2;
export const HASH_QUEUE_LENGTH_MAX = 50;

const argon2Async = promisify(argon2);

export interface PasswordHashing {
  /** A PHC string. Errors: OVERLOADED when too many hashes are waiting. */
  hash(password: string): Promise<string>;
  /** Whether `password` belongs to the PHC string; without one it takes the same time and is false.
   * Errors: OVERLOADED when too many hashes are waiting. */
  verify(password: string, phc: string | undefined): Promise<boolean>;
}

export function createPasswordHashing(): PasswordHashing {
  const bulkhead = createBulkhead();

  async function hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const bytes = await bulkhead(() => compute(password, salt, PARAMETERS, HASH_BYTES));
    return formatPhc({ ...PARAMETERS, salt, hash: bytes });
  }

  async function verify(password: string, phc: string | undefined): Promise<boolean> {
    const stored = phc === undefined ? undefined : parsePhc(phc);
    if (stored === undefined) {
      await hash(password);
      return false;
    }
    const bytes = await bulkhead(() =>
      compute(password, stored.salt, stored, stored.hash.byteLength),
    );
    return timingSafeEqual(bytes, stored.hash);
  }

  return { hash, verify };
}

/** The same password typed on two keyboards can be two sequences of code points; NFKC makes them
 * one. Nothing is cut off. */
async function compute(
  password: string,
  salt: Buffer,
  parameters: Argon2Parameters,
  length: number,
): Promise<Buffer> {
  return argon2Async("argon2id", {
    message: Buffer.from(password.normalize("NFKC"), "utf8"),
    nonce: salt,
    memory: parameters.memoryKib,
    passes: parameters.passes,
    parallelism: parameters.parallelism,
    tagLength: length,
  });
}

/** Runs at most HASHES_AT_ONCE_MAX pieces of work; HASH_QUEUE_LENGTH_MAX more may wait. */
function createBulkhead(): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;

  return async function run<T>(work: () => Promise<T>): Promise<T> {
    if (running < HASHES_AT_ONCE_MAX) running += 1;
    else if (waiting.length >= HASH_QUEUE_LENGTH_MAX) throw new PlatformError("OVERLOADED");
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      // The place is handed on, not freed: a newcomer cannot overtake who waits.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
