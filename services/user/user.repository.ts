// Accounts. The hash of a password leaves this file only towards its verification.
import { isDuplicateKey } from "../../mixins/database/database-error.ts";
import {
  type Database,
  type Queryable,
  sql,
  type Transaction,
} from "../../mixins/database/database.ts";
import type { Role } from "../contracts/contract.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { User } from "../contracts/user.ts";

const COLUMNS = "id, email, nickname, role, created_at";

const FIND = sql("users.find", `SELECT ${COLUMNS} FROM users WHERE id = ?`);
const FIND_ROLE = sql("users.find_role", "SELECT role FROM users WHERE id = ?");
const FIND_LOGIN = sql(
  "users.find_login",
  "SELECT id, role, password_hash FROM users WHERE email = ?",
);
const FIND_PASSWORD = sql("users.find_password", "SELECT password_hash FROM users WHERE id = ?");
const INSERT = sql(
  "users.insert",
  "INSERT INTO users (id, email, nickname, role, password_hash) VALUES (?, ?, ?, ?, ?)",
);
const UPDATE_NICKNAME = sql(
  "users.update_nickname",
  "UPDATE users SET nickname = ?, updated_at = NOW(3) WHERE id = ?",
);
const LOCK_PASSWORD = sql(
  "users.lock_password",
  "SELECT password_hash FROM users WHERE id = ? FOR UPDATE",
);
const UPDATE_PASSWORD = sql(
  "users.update_password",
  "UPDATE users SET password_hash = ?, updated_at = NOW(3) WHERE id = ?",
);

interface UserRow {
  readonly id: string;
  readonly email: string;
  readonly nickname: string | null;
  readonly role: Role;
  readonly created_at: Date;
}

export interface Login {
  readonly userId: string;
  readonly role: Role;
  readonly passwordHash: string;
}

export interface NewUser {
  readonly id: string;
  /** Normalised. */
  readonly email: string;
  readonly nickname: string | null;
  readonly role: Role;
  readonly passwordHash: string;
}

export interface UserRepository {
  find(id: string): Promise<User | undefined>;
  roleOf(tx: Queryable, id: string): Promise<Role | undefined>;
  findLogin(email: string): Promise<Login | undefined>;
  passwordHashOf(id: string): Promise<string | undefined>;
  /** Errors: USER_EMAIL_TAKEN. */
  insert(user: NewUser): Promise<void>;
  /** False when there is no such user. */
  updateNickname(id: string, nickname: string | null): Promise<boolean>;
  /** Locks the user against a change of password; undefined when there is no such user. */
  lockPassword(tx: Transaction, id: string): Promise<string | undefined>;
  updatePassword(tx: Transaction, id: string, passwordHash: string): Promise<void>;
}

export function createUserRepository(database: Database): UserRepository {
  return {
    async find(id) {
      const row = await database.row<UserRow>(FIND, [id]);
      return row === undefined ? undefined : userOf(row);
    },
    async roleOf(tx, id) {
      return (await tx.row<{ role: Role }>(FIND_ROLE, [id]))?.role;
    },
    async findLogin(email) {
      const row = await database.row<{ id: string; role: Role; password_hash: string }>(
        FIND_LOGIN,
        [email],
      );
      if (row === undefined) return undefined;
      return { userId: row.id, role: row.role, passwordHash: row.password_hash };
    },
    async passwordHashOf(id) {
      return (await database.row<{ password_hash: string }>(FIND_PASSWORD, [id]))?.password_hash;
    },
    async insert({ id, email, nickname, role, passwordHash }) {
      try {
        await database.run(INSERT, [id, email, nickname, role, passwordHash]);
      } catch (error) {
        if (isDuplicateKey(error, "users_email")) throw new PlatformError("USER_EMAIL_TAKEN");
        throw error;
      }
    },
    async updateNickname(id, nickname) {
      return (await database.run(UPDATE_NICKNAME, [nickname, id])).affectedRows > 0;
    },
    async lockPassword(tx, id) {
      return (await tx.row<{ password_hash: string }>(LOCK_PASSWORD, [id]))?.password_hash;
    },
    async updatePassword(tx, id, passwordHash) {
      await tx.run(UPDATE_PASSWORD, [passwordHash, id]);
    },
  };
}

function userOf({ id, email, nickname, role, created_at }: UserRow): User {
  return { id, email, nickname, role, created_at: created_at.toISOString() };
}
