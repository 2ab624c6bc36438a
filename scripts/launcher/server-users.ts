// Logins of the node processes at the private Redis and NATS: one per process, with the rights of
// what it runs. The platform's own login, which may do everything, stays with the launcher and the
// operator's tools.
import { createHash, createHmac } from "node:crypto";
import { type Access, accessOf } from "../../config/access.ts";
import { resolveServices } from "../../config/roles.ts";
import type { ServerCredentials } from "./credentials.ts";

export interface ServerUser {
  /** The name of its process. */
  readonly name: string;
  readonly access: Access;
}

export function serverUser(name: string, services: string, namespace: string): ServerUser {
  return { name, access: accessOf(resolveServices(services).units, namespace) };
}

type Kind = "redis" | "nats";

/** Made from the server's own password, so that none has to be kept. */
export function userPassword(kind: Kind, name: string, credentials: ServerCredentials): string {
  const base = kind === "redis" ? credentials.redisPassword : credentials.natsPassword;
  return createHmac("sha256", base).update(`${kind}:${name}`).digest("base64url");
}

/** Lines of redis.conf; they hold a hash of the password. */
export function redisUserLines(
  users: readonly ServerUser[],
  credentials: ServerCredentials,
): readonly string[] {
  return users.map(({ name, access }) => {
    const password = userPassword("redis", name, credentials);
    const hash = createHash("sha256").update(password).digest("hex");
    return `user ${name} reset on #${hash} ${access.redis.join(" ")}`;
  });
}

/** The value of `users` in nats.conf. */
export function natsUsers(
  users: readonly ServerUser[],
  credentials: ServerCredentials,
): readonly object[] {
  return users.map(({ name, access: { publish, subscribe } }) => ({
    user: name,
    password: userPassword("nats", name, credentials),
    permissions: { publish: { allow: publish }, subscribe: { allow: subscribe } },
  }));
}

/** The same server, as this user. */
export function urlAs(
  kind: Kind,
  url: string,
  name: string,
  credentials: ServerCredentials,
): string {
  const parsed = new URL(url);
  parsed.username = name;
  parsed.password = userPassword(kind, name, credentials);
  return parsed.toString();
}

/** Where a server is, without a login: nodes make theirs from DATABASE_SECRET. */
export function withoutLogin(url: string): string {
  const parsed = new URL(url);
  parsed.username = "";
  parsed.password = "";
  return parsed.toString();
}
