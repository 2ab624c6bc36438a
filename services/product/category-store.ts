// Reads categories through moleculer-db with its Sequelize adapter. The package's own actions stay
// inside this process and only `find` is kept: its writes know no transaction, take any field and
// let the last one win, so categories are written by category.repository.ts.
import DbService from "moleculer-db";
import SequelizeDbAdapter from "moleculer-db-adapter-sequelize";
import type { ServiceBroker, ServiceSchema } from "moleculer";
import { DataTypes, type ModelStatic, type Model, Sequelize } from "sequelize";
import type { DatabaseCredentials } from "../../config/database.ts";
import type { Category } from "../contracts/product.ts";
import { PlatformError } from "../contracts/errors.ts";
import { CATEGORIES_MAX } from "./domain/category.ts";

const POOL_SIZE = 2;
const ACQUIRE_TIMEOUT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 1_000;
const IDLE_CONNECTION_MS = 10_000;

export interface CategoryStore {
  /** All categories, unordered. @throws SERVICE_UNAVAILABLE */
  findAll(): Promise<Category[]>;
}

/** Adds the private service `product-categories` to the broker; it connects on its first query. */
export function createCategoryStore(
  broker: ServiceBroker,
  credentials: DatabaseCredentials,
): CategoryStore {
  const schema: ServiceSchema = {
    name: "product-categories",
    mixins: [DbService as unknown as Partial<ServiceSchema>],
    adapter: lazyAdapter(connectionTo(credentials)),
    model: CATEGORY_MODEL,
    settings: { idField: "id", maxLimit: CATEGORIES_MAX, fields: COLUMNS },
    actions: {
      find: { visibility: "private", cache: false },
      count: false,
      list: false,
      create: false,
      insert: false,
      get: false,
      update: false,
      remove: false,
    },
  } as unknown as ServiceSchema;
  const service = broker.createService(schema);
  return {
    async findAll() {
      const find = service.actions["find"] as (params: object) => Promise<Category[]>;
      try {
        return await find({ limit: CATEGORIES_MAX });
      } catch (error) {
        broker.logger.warn("categories cannot be read", { cause: (error as Error).name });
        throw new PlatformError("SERVICE_UNAVAILABLE");
      }
    },
  };
}

const COLUMNS = ["id", "name", "parent_id", "position"];

const CATEGORY_MODEL = {
  name: "category",
  define: {
    id: { type: DataTypes.BIGINT.UNSIGNED, primaryKey: true },
    name: { type: DataTypes.STRING, allowNull: false },
    parent_id: { type: DataTypes.BIGINT.UNSIGNED, allowNull: true },
    position: { type: DataTypes.INTEGER.UNSIGNED, allowNull: false },
  },
  options: { tableName: "categories", timestamps: false },
};

function connectionTo({ host, port, user, password, schema }: DatabaseCredentials): Sequelize {
  return new Sequelize(schema, user, password, {
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
  });
}

/**
 * The package's adapter waits for the database at start and creates tables; a node must be able to
 * start while the database is away, and only migrations change the schema. Moleculer copies the
 * adapter with its fields, so the connection is held by the method and not by the object.
 */
function lazyAdapter(connection: Sequelize): SequelizeDbAdapter {
  class LazySequelizeAdapter extends SequelizeDbAdapter {
    declare db: Sequelize;
    declare model: ModelStatic<Model>;

    override connect(): Promise<void> {
      const { name, define, options } = CATEGORY_MODEL;
      this.db = connection;
      this.model = connection.define(name, define, options);
      return Promise.resolve();
    }
  }
  return new LazySequelizeAdapter({});
}
