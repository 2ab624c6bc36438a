// The schemas' names on the server, quoted for use in the auditor's statements. They come from
// configuration, never from a request.
import { DATABASE_SCHEMAS, type OwnedSchema, schemaName } from "../../config/database.ts";
import type { Settings } from "../../config/schema.ts";

export type SchemaNames = Readonly<Record<OwnedSchema, string>>;

export function schemaNames(settings: Pick<Settings, "NAMESPACE">): SchemaNames {
  return Object.fromEntries(
    DATABASE_SCHEMAS.map((schema) => [schema, `\`${schemaName(settings, schema)}\``]),
  ) as SchemaNames;
}
