// Reads through Sequelize, with its errors turned into the catalogue's: they carry SQL and hosts.
import { BaseError, ConnectionError } from "sequelize";
import { PlatformError } from "../contracts/errors.ts";

/** @throws SERVICE_UNAVAILABLE when the database is away, or an error that names no SQL. */
export async function readable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    const isAway = error instanceof ConnectionError || error.name.startsWith("SequelizeConnection");
    if (isAway) throw new PlatformError("SERVICE_UNAVAILABLE");
    throw new Error(`read failed: ${error.name}`);
  }
}
