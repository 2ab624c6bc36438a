// The address book. Every statement names the owner: another user's address does not exist.
// Changes are made under the lock of the book's row, so that its bound and its one default hold.
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import { PlatformError } from "../contracts/errors.ts";
import { type Address, ADDRESSES_PER_USER_MAX } from "../contracts/user.ts";
import { type PageOf, pageOf } from "../kernel/schema.ts";
import { type AddressRow, readable, type UserModels } from "./user.models.ts";

const COLUMNS =
  "id, user_id, recipient, phone, country, region, city, street, postal_code, default_of, created_at";

const OPEN_BOOK = sql(
  "address_books.open",
  "INSERT INTO address_books (user_id) VALUES (?) ON DUPLICATE KEY UPDATE user_id = user_id",
);
const COUNT = sql("addresses.count", "SELECT COUNT(*) AS held FROM addresses WHERE user_id = ?");
const FIND = sql("addresses.find", `SELECT ${COLUMNS} FROM addresses WHERE id = ? AND user_id = ?`);
const INSERT = sql(
  "addresses.insert",
  `INSERT INTO addresses
     (id, user_id, recipient, phone, country, region, city, street, postal_code)
   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
);
const UPDATE = sql(
  "addresses.update",
  `UPDATE addresses
   SET recipient = ?, phone = ?, country = ?, region = ?, city = ?, street = ?, postal_code = ?
   WHERE id = ? AND user_id = ?`,
);
const CLEAR_DEFAULT = sql(
  "addresses.clear_default",
  "UPDATE addresses SET default_of = NULL WHERE default_of = ?",
);
const SET_DEFAULT = sql(
  "addresses.set_default",
  "UPDATE addresses SET default_of = user_id WHERE id = ? AND user_id = ?",
);
const UNSET_DEFAULT = sql(
  "addresses.unset_default",
  "UPDATE addresses SET default_of = NULL WHERE id = ? AND user_id = ?",
);
const DELETE = sql("addresses.delete", "DELETE FROM addresses WHERE id = ? AND user_id = ?");

export type AddressFields = Omit<Address, "id" | "is_default" | "created_at">;

/** What may be changed; a field that is undefined stays as it is. */
export type AddressChange = {
  readonly [K in keyof AddressFields]?: AddressFields[K] | undefined;
} & { readonly is_default?: boolean | undefined };

export interface AddressKey {
  readonly id: string;
  readonly userId: string;
}

export interface AddressRepository {
  list(userId: string, params: { page?: number; page_size?: number }): Promise<PageOf<Address>>;
  /** Errors: ADDRESS_NOT_FOUND. */
  get(key: AddressKey): Promise<Address>;
  /** The first address of a book is its default unless `isDefault` says no.
   * Errors: VALIDATION_FAILED when the book is full. */
  insert(
    tx: Transaction,
    key: AddressKey,
    fields: AddressFields,
    isDefault: boolean | undefined,
  ): Promise<Address>;
  /** Errors: ADDRESS_NOT_FOUND. */
  update(key: AddressKey, change: AddressChange): Promise<Address>;
  /** Errors: ADDRESS_NOT_FOUND. */
  delete(key: AddressKey): Promise<void>;
}

export function createAddressRepository(
  database: Database,
  models: Pick<UserModels, "addresses">,
): AddressRepository {
  return {
    async list(userId, params) {
      const { page, pageSize, offset } = pageOf(params);
      const where = { user_id: userId };
      const [total, rows] = await readable(() =>
        Promise.all([
          models.addresses.count({ where }),
          models.addresses.findAll({
            where,
            order: [
              ["created_at", "DESC"],
              ["id", "DESC"],
            ],
            limit: pageSize,
            offset,
            raw: true,
          }) as unknown as Promise<AddressRow[]>,
        ]),
      );
      return { items: rows.map(addressOf), page, page_size: pageSize, total };
    },
    async get({ id, userId }) {
      const where = { id, user_id: userId };
      const row = (await readable(() =>
        models.addresses.findOne({ where, raw: true }),
      )) as AddressRow | null;
      if (row === null) throw new PlatformError("ADDRESS_NOT_FOUND");
      return addressOf(row);
    },
    insert: insertAddress,
    update: (key, change) =>
      database.transaction("addresses.update", (tx) => updateAddress(tx, key, change)),
    delete: (key) => database.transaction("addresses.delete", (tx) => deleteAddress(tx, key)),
  };
}

async function insertAddress(
  tx: Transaction,
  key: AddressKey,
  fields: AddressFields,
  isDefault: boolean | undefined,
): Promise<Address> {
  await tx.run(OPEN_BOOK, [key.userId]);
  const held = Number((await tx.row<{ held: string | number }>(COUNT, [key.userId]))?.held ?? 0);
  if (held >= ADDRESSES_PER_USER_MAX) {
    const message = `at most ${ADDRESSES_PER_USER_MAX} addresses`;
    throw new PlatformError("VALIDATION_FAILED", [{ field: "", rule: "maxItems", message }]);
  }
  await tx.run(INSERT, [key.id, key.userId, ...columnsOf(fields)]);
  if (isDefault ?? held === 0) await makeDefault(tx, key);
  return addressOf(await find(tx, key));
}

async function updateAddress(
  tx: Transaction,
  key: AddressKey,
  change: AddressChange,
): Promise<Address> {
  await tx.run(OPEN_BOOK, [key.userId]);
  const { is_default: isDefault, ...fields } = change;
  const current = await find(tx, key);
  const given = Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  );
  await tx.run(UPDATE, [...columnsOf({ ...current, ...given }), key.id, key.userId]);
  if (isDefault === true) await makeDefault(tx, key);
  if (isDefault === false) await tx.run(UNSET_DEFAULT, [key.id, key.userId]);
  return addressOf(await find(tx, key));
}

async function deleteAddress(tx: Transaction, { id, userId }: AddressKey): Promise<void> {
  await tx.run(OPEN_BOOK, [userId]);
  const { affectedRows } = await tx.run(DELETE, [id, userId]);
  if (affectedRows === 0) throw new PlatformError("ADDRESS_NOT_FOUND");
}

async function makeDefault(tx: Transaction, { id, userId }: AddressKey): Promise<void> {
  await tx.run(CLEAR_DEFAULT, [userId]);
  await tx.run(SET_DEFAULT, [id, userId]);
}

async function find(tx: Transaction, { id, userId }: AddressKey): Promise<AddressRow> {
  const row = await tx.row<AddressRow>(FIND, [id, userId]);
  if (row === undefined) throw new PlatformError("ADDRESS_NOT_FOUND");
  return row;
}

function columnsOf(fields: AddressFields): readonly string[] {
  const { recipient, phone, country, region, city, street, postal_code } = fields;
  return [recipient, phone, country, region, city, street, postal_code];
}

function addressOf(row: AddressRow): Address {
  const { recipient, phone, country, region, city, street, postal_code } = row;
  return {
    id: row.id,
    recipient,
    phone,
    country,
    region,
    city,
    street,
    postal_code,
    is_default: row.default_of !== null,
    created_at: row.created_at.toISOString(),
  };
}
