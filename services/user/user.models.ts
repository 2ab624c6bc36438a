// Sequelize models of what is read plainly: the address book and the mails. No hooks, no sync, no
// instances: reads are raw, and writes are SQL in the transactions that need them.
import {
  BaseError,
  ConnectionError,
  DataTypes,
  type Model,
  type ModelStatic,
  Sequelize,
} from "sequelize";
import type { DatabaseCredentials } from "../../config/database.ts";
import { PlatformError } from "../contracts/errors.ts";

const POOL_SIZE = 2;
const ACQUIRE_TIMEOUT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 1_000;
const IDLE_CONNECTION_MS = 10_000;

export interface AddressRow {
  readonly id: string;
  readonly user_id: string;
  readonly recipient: string;
  readonly phone: string;
  readonly country: string;
  readonly region: string;
  readonly city: string;
  readonly street: string;
  readonly postal_code: string;
  /** The owner's id on the default address. */
  readonly default_of: string | null;
  readonly created_at: Date;
}

export interface MailRow {
  readonly id: string;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  readonly created_at: Date;
}

export interface UserModels {
  readonly addresses: ModelStatic<Model<AddressRow>>;
  readonly mails: ModelStatic<Model<MailRow>>;
  close(): Promise<void>;
}

/** Connects on the first query. */
export function createUserModels(credentials: DatabaseCredentials): UserModels {
  const { host, port, user, password, schema } = credentials;
  const sequelize = new Sequelize(schema, user, password, {
    host,
    port,
    dialect: "mysql",
    logging: false,
    timezone: "+00:00",
    dialectOptions: {
      connectTimeout: CONNECT_TIMEOUT_MS,
      supportBigNumbers: true,
      bigNumberStrings: true,
    },
    pool: { max: POOL_SIZE, min: 0, acquire: ACQUIRE_TIMEOUT_MS, idle: IDLE_CONNECTION_MS },
    define: { timestamps: false },
  });
  return {
    addresses: sequelize.define<Model<AddressRow>>("address", ADDRESS, { tableName: "addresses" }),
    mails: sequelize.define<Model<MailRow>>("mail", MAIL, { tableName: "mails" }),
    close: () => sequelize.close(),
  };
}

const id = { type: DataTypes.BIGINT.UNSIGNED, primaryKey: true } as const;
const text = (length: number) => ({ type: DataTypes.STRING(length), allowNull: false });
const time = { type: DataTypes.DATE(3), allowNull: false } as const;

const ADDRESS = {
  id,
  user_id: { type: DataTypes.BIGINT.UNSIGNED, allowNull: false },
  recipient: text(100),
  phone: text(32),
  country: text(2),
  region: text(100),
  city: text(100),
  street: text(200),
  postal_code: text(20),
  default_of: { type: DataTypes.BIGINT.UNSIGNED, allowNull: true },
  created_at: time,
} as const;

const MAIL = {
  id,
  recipient: text(254),
  subject: text(200),
  body: { type: DataTypes.TEXT, allowNull: false },
  created_at: time,
} as const;

/** Sequelize's errors carry SQL and hosts and must not travel.
 * @throws SERVICE_UNAVAILABLE when the database is away, or an error that names no SQL. */
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
