// Contract of the user service: accounts, sessions, addresses, worker-id leases.
import { type Static, Type } from "@sinclair/typebox";
import { Id, Nullable, PAGE_PARAMS, Page, Strict, Timestamp } from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";

export const PASSWORD_LENGTH_MIN = 10;
export const PASSWORD_LENGTH_MAX = 128;
export const ADDRESSES_PER_USER_MAX = 50;
export const REVOCATIONS_MAX = 5_000;

const Email = Type.String({ format: "email", maxLength: 254 });
const Password = Type.String({ minLength: PASSWORD_LENGTH_MIN, maxLength: PASSWORD_LENGTH_MAX });
/** Presented passwords are only bounded: the rules may have been others when one was chosen. */
const PresentedPassword = Type.String({ minLength: 1, maxLength: PASSWORD_LENGTH_MAX });
const Nickname = Type.String({ minLength: 1, maxLength: 50 });
const OpaqueToken = Type.String({ minLength: 20, maxLength: 200 });

export const User = Type.Object({
  id: Id,
  email: Type.String(),
  nickname: Nullable(Type.String()),
  role: Type.Union([Type.Literal("customer"), Type.Literal("admin")]),
  created_at: Timestamp,
});
export type User = Static<typeof User>;

export const TokenPair = Type.Object({
  access_token: Type.String(),
  refresh_token: Type.String(),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer({ description: "Seconds until the access token ends" }),
});
export type TokenPair = Static<typeof TokenPair>;

const ADDRESS_FIELDS = {
  recipient: Type.String({ minLength: 1, maxLength: 100 }),
  phone: Type.String({ minLength: 3, maxLength: 32, pattern: "^[0-9+() -]+$" }),
  country: Type.String({ pattern: "^[A-Z]{2}$", description: "ISO 3166-1 alpha-2" }),
  region: Type.String({ minLength: 1, maxLength: 100 }),
  city: Type.String({ minLength: 1, maxLength: 100 }),
  street: Type.String({ minLength: 1, maxLength: 200 }),
  postal_code: Type.String({ minLength: 1, maxLength: 20 }),
};

export const Address = Type.Object({
  id: Id,
  ...ADDRESS_FIELDS,
  is_default: Type.Boolean(),
  created_at: Timestamp,
});
export type Address = Static<typeof Address>;

/** Sessions that ended before their access tokens did. A token is refused when its family is
 * listed, or when it was issued to a listed user at or before `revoked_at`. */
export const Revocation = Type.Object({
  seq: Type.Integer(),
  family_id: Nullable(Type.String()),
  user_id: Nullable(Id),
  revoked_at: Timestamp,
});
export type Revocation = Static<typeof Revocation>;

const AUTH = { tag: "Users" } as const;

export const userContract = defineContract({
  register: {
    params: Strict({ email: Email, password: Password, nickname: Type.Optional(Nickname) }),
    result: User,
    auth: "public",
    idempotent: false,
    rest: { method: "POST", path: "/auth/register", status: 201, summary: "Register", ...AUTH },
  },
  login: {
    params: Strict({
      email: Type.String({ minLength: 1, maxLength: 254 }),
      password: PresentedPassword,
    }),
    result: TokenPair,
    auth: "public",
    idempotent: false,
    rest: { method: "POST", path: "/auth/login", summary: "Sign in", ...AUTH },
  },
  refresh: {
    params: Strict({ refresh_token: OpaqueToken }),
    result: TokenPair,
    auth: "public",
    idempotent: false,
    rest: { method: "POST", path: "/auth/refresh", summary: "Spend a refresh token", ...AUTH },
  },
  logout: {
    params: Strict({ refresh_token: Type.Optional(OpaqueToken) }),
    result: Type.Null(),
    auth: "customer",
    idempotent: true,
    rest: {
      method: "POST",
      path: "/auth/logout",
      summary: "End this session and its refresh tokens",
      ...AUTH,
    },
  },
  requestPasswordReset: {
    params: Strict({ email: Type.String({ minLength: 1, maxLength: 254 }) }),
    result: Type.Null(),
    auth: "public",
    idempotent: true,
    rest: {
      method: "POST",
      path: "/auth/password-resets",
      status: 202,
      summary: "Ask for a reset mail; the answer is the same for an unknown e-mail",
      ...AUTH,
    },
  },
  resetPassword: {
    params: Strict({ token: OpaqueToken, password: Password }),
    result: Type.Null(),
    auth: "public",
    idempotent: false,
    rest: {
      method: "POST",
      path: "/auth/password-resets/confirm",
      summary: "Set a new password with a one-time token",
      ...AUTH,
    },
  },
  me: {
    params: Strict({}),
    result: User,
    auth: "customer",
    idempotent: true,
    rest: { method: "GET", path: "/users/me", summary: "Own profile", ...AUTH },
  },
  updateMe: {
    params: Strict({ nickname: Nullable(Nickname) }),
    result: User,
    auth: "customer",
    idempotent: true,
    rest: { method: "PATCH", path: "/users/me", summary: "Change own profile", ...AUTH },
  },
  changePassword: {
    params: Strict({ current_password: PresentedPassword, new_password: Password }),
    result: Type.Null(),
    auth: "customer",
    idempotent: false,
    rest: { method: "POST", path: "/users/me/password", summary: "Change password", ...AUTH },
  },
  get: {
    params: Strict({ id: Id }),
    result: User,
    auth: "admin",
    idempotent: true,
    rest: { method: "GET", path: "/users/:id", summary: "A user", ...AUTH },
  },
  listAddresses: {
    params: Strict({ ...PAGE_PARAMS }),
    result: Page(Address),
    auth: "customer",
    idempotent: true,
    rest: { method: "GET", path: "/users/me/addresses", summary: "Own addresses", ...AUTH },
  },
  createAddress: {
    params: Strict({ ...ADDRESS_FIELDS, is_default: Type.Optional(Type.Boolean()) }),
    result: Address,
    auth: "customer",
    idempotent: false,
    idempotencyKey: "accepted",
    rest: {
      method: "POST",
      path: "/users/me/addresses",
      status: 201,
      summary: "Add an address",
      ...AUTH,
    },
  },
  getAddress: {
    params: Strict({ id: Id }),
    result: Address,
    auth: "customer",
    idempotent: true,
    rest: { method: "GET", path: "/users/me/addresses/:id", summary: "An own address", ...AUTH },
  },
  updateAddress: {
    params: Strict({
      id: Id,
      ...Type.Partial(Type.Object(ADDRESS_FIELDS)).properties,
      is_default: Type.Optional(Type.Boolean()),
    }),
    result: Address,
    auth: "customer",
    idempotent: true,
    rest: { method: "PATCH", path: "/users/me/addresses/:id", summary: "Change it", ...AUTH },
  },
  deleteAddress: {
    params: Strict({ id: Id }),
    result: Type.Null(),
    auth: "customer",
    idempotent: true,
    rest: { method: "DELETE", path: "/users/me/addresses/:id", summary: "Delete it", ...AUTH },
  },
  listMails: {
    params: Strict({ ...PAGE_PARAMS }),
    result: Page(
      Type.Object({
        id: Id,
        recipient: Type.String(),
        subject: Type.String(),
        body: Type.String(),
        created_at: Timestamp,
      }),
    ),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/admin/mails",
      summary: "Mails waiting while no mail transport is configured",
      tag: "Administration",
    },
  },
  /** The address as it is now, to be copied into an order; only the owner's. */
  addressSnapshot: {
    params: Strict({ user_id: Id, address_id: Id }),
    result: Address,
    auth: "internal",
    idempotent: true,
  },
  /** Revocations after `after_seq`, oldest first. */
  revocations: {
    params: Strict({ after_seq: Type.Integer({ minimum: 0 }) }),
    result: Type.Object({ items: Type.Array(Revocation) }),
    auth: "internal",
    idempotent: true,
  },
  /** Leases a worker id for Snowflake ids, or renews the lease that `owner` holds. */
  leaseWorkerId: {
    params: Strict({
      owner: Type.String({ minLength: 1, maxLength: 128 }),
      worker_id: Type.Optional(Type.Integer({ minimum: 0, maximum: 1023 })),
      /** The owner asks to mint ids up to this time, ms since the Unix epoch. */
      high_water_ms: Type.Integer({ minimum: 0 }),
    }),
    result: Type.Object({
      worker_id: Type.Integer(),
      /** The owner mints ids only with a time above this one: an earlier owner may have used it. */
      floor_ms: Type.Integer(),
      /** The time up to which ids may be minted; never lower than an earlier owner's. */
      high_water_ms: Type.Integer(),
      /** How long the lease holds from the moment the call was sent. */
      lease_ms: Type.Integer(),
    }),
    auth: "internal",
    idempotent: false,
  },
});
