// Accounts, sessions, address book, and the worker ids all processes mint ids with.
import type { ServiceSchema } from "moleculer";
import { databaseCredentials } from "../../config/database.ts";
import type { Principal } from "../../mixins/auth/tokens.ts";
import type { Database } from "../../mixins/database/database.ts";
import { runIdempotent } from "../../mixins/idempotency/idempotency.repository.ts";
import { type ActionCall, type Handlers, implement } from "../../mixins/service.ts";
import { userContract } from "../contracts/user.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import type { PlatformNode } from "../node.ts";
import { type Accounts, createAccounts } from "./accounts.ts";
import { type AddressRepository, createAddressRepository } from "./address.repository.ts";
import { ensureFirstAdmin, untilDone, type UntilDone } from "./first-admin.ts";
import { createLoginThrottle } from "./login-throttle.repository.ts";
import { listMails } from "./mail.repository.ts";
import { createPasswordHashing } from "./password-hashing.ts";
import { revocationsAfter } from "./session.repository.ts";
import { createSessions, type Sessions } from "./sessions.ts";
import { createUserModels, type UserModels } from "./user.models.ts";
import { createUserRepository } from "./user.repository.ts";
import {
  createWorkerLeaseRepository,
  type WorkerLeaseRepository,
} from "./worker-lease.repository.ts";

export function wire(node: PlatformNode): ServiceSchema {
  const { broker, ids, log, settings, tokens } = node;
  const database = node.database("user");
  const users = createUserRepository(database);
  const hashing = createPasswordHashing();
  const throttle = createLoginThrottle(database);
  const models = createUserModels(databaseCredentials(settings, "user"));
  const hintRevoked = (): void => {
    broker.broadcast("user.sessions-revoked").catch((error: unknown) => {
      log.debug({ err: error }, "hint of ended sessions was not sent");
    });
  };
  const admin = { email: settings.ADMIN_EMAIL, password: settings.ADMIN_PASSWORD };
  const session = { database, users, hashing, ids, hintRevoked };
  const sessions = createSessions({ ...session, throttle, tokens });
  return createUserService({
    database,
    ids,
    models,
    sessions,
    accounts: createAccounts({ ...session, sessions }),
    addresses: createAddressRepository(database, models),
    workerLeases: createWorkerLeaseRepository(database),
    firstAdmin: untilDone(() => ensureFirstAdmin({ users, hashing, log }, admin), node),
  });
}

export interface UserServiceParts {
  readonly database: Database;
  readonly ids: IdGenerator;
  readonly models: UserModels;
  readonly sessions: Sessions;
  readonly accounts: Accounts;
  readonly addresses: AddressRepository;
  readonly workerLeases: WorkerLeaseRepository;
  readonly firstAdmin: UntilDone;
}

type UserHandlers = Handlers<typeof userContract>;

export function createUserService(parts: UserServiceParts): ServiceSchema {
  return {
    name: "user",
    actions: implement(userContract, {
      ...sessionHandlers(parts),
      ...accountHandlers(parts),
      ...addressHandlers(parts),
      ...internalHandlers(parts),
    }),
    started: () => parts.firstAdmin.start(),
    async stopped() {
      parts.firstAdmin.stop();
      await parts.models.close();
    },
  };
}

type SessionAction = "login" | "refresh" | "logout";

function sessionHandlers({ sessions }: UserServiceParts): Pick<UserHandlers, SessionAction> {
  return {
    login: ({ params, ctx }) => sessions.login(params, addressOf(ctx)),
    refresh: ({ params }) => sessions.refresh(params.refresh_token),
    async logout({ params, principal }) {
      await sessions.logout(principal, params.refresh_token);
      return null;
    },
  };
}

type AccountAction =
  | "register"
  | "requestPasswordReset"
  | "resetPassword"
  | "me"
  | "updateMe"
  | "changePassword"
  | "get"
  | "listMails";

function accountHandlers({
  accounts,
  models,
}: UserServiceParts): Pick<UserHandlers, AccountAction> {
  return {
    register: ({ params }) => accounts.register(params),
    async requestPasswordReset({ params }) {
      await accounts.requestReset(params.email);
      return null;
    },
    async resetPassword({ params }) {
      await accounts.resetPassword(params.token, params.password);
      return null;
    },
    me: ({ principal }) => accounts.get(principal.userId),
    updateMe: ({ params, principal }) => accounts.updateNickname(principal.userId, params.nickname),
    async changePassword({ params, principal, ctx }) {
      const { current_password: current, new_password: next } = params;
      await accounts.changePassword({ principal, address: addressOf(ctx), current, next });
      return null;
    },
    get: ({ params }) => accounts.get(params.id),
    listMails: ({ params }) => listMails(models, params),
  };
}

type AddressAction =
  "listAddresses" | "createAddress" | "getAddress" | "updateAddress" | "deleteAddress";

function addressHandlers(parts: UserServiceParts): Pick<UserHandlers, AddressAction> {
  const { addresses } = parts;
  const key = (id: string, principal: Principal) => ({ id, userId: principal.userId });
  return {
    listAddresses: ({ params, principal }) => addresses.list(principal.userId, params),
    createAddress: (call) => createAddress(parts, call),
    getAddress: ({ params, principal }) => addresses.get(key(params.id, principal)),
    updateAddress({ params: { id, ...change }, principal }) {
      return addresses.update(key(id, principal), change);
    },
    async deleteAddress({ params, principal }) {
      await addresses.delete(key(params.id, principal));
      return null;
    },
  };
}

async function createAddress(
  { database, addresses, ids }: UserServiceParts,
  { params, principal, idempotency, ctx }: ActionCall<typeof userContract.createAddress>,
) {
  const { is_default: isDefault, ...fields } = params;
  const key = { id: ids.next(), userId: principal.userId };
  const { value, isReplay } = await database.transaction("addresses.create", (tx) =>
    runIdempotent(tx, idempotency, () => addresses.insert(tx, key, fields, isDefault)),
  );
  if (isReplay) ctx.meta.isReplay = true;
  return value;
}

type InternalAction = "addressSnapshot" | "revocations" | "leaseWorkerId";

function internalHandlers(parts: UserServiceParts): Pick<UserHandlers, InternalAction> {
  const { addresses, database, workerLeases } = parts;
  return {
    addressSnapshot: ({ params }) =>
      addresses.get({ id: params.address_id, userId: params.user_id }),
    async revocations({ params }) {
      return { items: await revocationsAfter(database, params.after_seq) };
    },
    leaseWorkerId: ({ params }) => workerLeases.lease(params.owner, params.high_water_ms),
  };
}

/** What the login throttle counts a request under; all requests without an address are one. */
function addressOf(ctx: ActionCall<typeof userContract.login>["ctx"]): string {
  return ctx.meta.clientIp ?? "unknown";
}
