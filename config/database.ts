// Where each service's schema is and with which credentials it is reached.
import { createHmac } from "node:crypto";
import type { Settings } from "./schema.ts";

/** Schemas that services own; `provider` is the mock payment provider's. */
export const DATABASE_SCHEMAS = [
  "user",
  "product",
  "inventory",
  "order",
  "payment",
  "seckill",
  "operations",
  "provider",
] as const;
export type OwnedSchema = (typeof DATABASE_SCHEMAS)[number];
/** `auditor` owns nothing: its user may only read, everywhere. */
export type DatabaseSchema = OwnedSchema | "auditor";

export interface DatabaseCredentials {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Name of the schema on the server, such as `shop_order`. */
  readonly schema: string;
}

const MYSQL_PORT = 3306;

export function schemaName(settings: Pick<Settings, "NAMESPACE">, schema: DatabaseSchema): string {
  return `${settings.NAMESPACE}_${schema}`;
}

/** One secret gives every service its own password, so that none has to be stored or shared. */
export function databaseCredentials(
  settings: Pick<Settings, "NAMESPACE" | "MYSQL_URL" | "DATABASE_SECRET">,
  schema: DatabaseSchema,
): DatabaseCredentials {
  const { hostname, port } = new URL(settings.MYSQL_URL);
  const user = schemaName(settings, schema);
  return {
    host: hostname,
    port: port === "" ? MYSQL_PORT : Number(port),
    user,
    password: createHmac("sha256", settings.DATABASE_SECRET)
      .update(`mysql:${user}`)
      .digest("base64url"),
    // The auditor reads all schemas by qualified names; it needs one to connect to.
    schema: schema === "auditor" ? schemaName(settings, "order") : user,
  };
}
