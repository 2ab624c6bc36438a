// The PHC string format of an argon2id hash: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>, base64
// without padding. Parameters travel with the hash, so that raising them locks nobody out.

export interface Argon2Parameters {
  readonly memoryKib: number;
  readonly passes: number;
  readonly parallelism: number;
}

export interface PasswordHash extends Argon2Parameters {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** Argon2 version 1.3, the one node:crypto computes. */
const VERSION = 19;
const PHC =
  /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

export function formatPhc(value: PasswordHash): string {
  const { memoryKib, passes, parallelism, salt, hash } = value;
  const parameters = `m=${memoryKib},t=${passes},p=${parallelism}`;
  return `$argon2id$v=${VERSION}$${parameters}$${unpadded(salt)}$${unpadded(hash)}`;
}

/** Undefined for anything that is not an argon2id hash. */
export function parsePhc(text: string): PasswordHash | undefined {
  const [, memoryKib, passes, parallelism, salt, hash] = PHC.exec(text) ?? [];
  if (salt === undefined || hash === undefined) return undefined;
  return {
    memoryKib: Number(memoryKib),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, "base64"),
    hash: Buffer.from(hash, "base64"),
  };
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
