// Random names and passwords for the private servers; URL-safe, so that they can stand in a URL as they are.
import { randomBytes } from "node:crypto";

const PASSWORD_BYTES = 24;

/** Passwords of the three private servers. */
export interface ServerCredentials {
  redisPassword: string;
  natsPassword: string;
  mysqlPassword: string;
}

/** 192 random bits in base64url: 32 characters of [A-Za-z0-9_-]. */
export function randomPassword(): string {
  return randomBytes(PASSWORD_BYTES).toString("base64url");
}

export function randomServerCredentials(): ServerCredentials {
  return {
    redisPassword: randomPassword(),
    natsPassword: randomPassword(),
    mysqlPassword: randomPassword(),
  };
}
