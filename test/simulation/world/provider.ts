// A payment provider in memory: it registers, captures, closes and refunds charges, each once by its id,
// and sends callbacks until they are taken, now and then one more.
import type {
  CallbackRequest,
  ChargeState,
  SimulatingChannel,
} from "../../../services/payment/channels/channel.ts";
import { type Channels, channelsOf } from "../../../services/payment/channels/channels.ts";
import { PlatformError } from "../../../services/contracts/errors.ts";
import { FAULTS } from "../kernel/fault-plan.ts";
import type { Network } from "../kernel/remote.ts";

const TIMEOUT_MS = 1_000;
const CALLBACK_TRIES_MAX = 8;
const CALLBACK_RETRY_MS = 2_000;
const DUPLICATE_SHARE = 0.3;

/** Takes a callback to the platform; false when it was not accepted. */
export type SendCallback = (paymentId: string, request: CallbackRequest) => Promise<boolean>;

interface ChargeRecord {
  status: ChargeState["status"];
  readonly amount: number;
}

export class Provider {
  readonly #network: Network;
  readonly #charges = new Map<string, ChargeRecord>();
  readonly refunds = new Map<string, { readonly paymentId: string; readonly amount: number }>();
  #sending = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  /** Whether callbacks are on their way. */
  get isIdle(): boolean {
    return this.#sending === 0;
  }

  /** Minor units the provider took and did not give back, per payment. */
  get balances(): ReadonlyMap<string, number> {
    const balances = new Map<string, number>();
    for (const [id, { status, amount }] of this.#charges) {
      if (status === "captured") balances.set(id, amount);
    }
    for (const { paymentId, amount } of this.refunds.values()) {
      balances.set(paymentId, (balances.get(paymentId) ?? 0) - amount);
    }
    return balances;
  }

  /** The buyer pays, once, also what was closed meanwhile; false when that is not possible. */
  capture(paymentId: string, send: SendCallback): boolean {
    const charge = this.#charges.get(paymentId);
    if (charge === undefined || charge.status === "captured") return false;
    charge.status = "captured";
    void this.#tell(paymentId, charge.amount, send);
    return true;
  }

  async #tell(paymentId: string, amount: number, send: SendCallback): Promise<void> {
    const { simulation } = this.#network;
    const body = { webhookId: `hook-${paymentId}`, paymentId, outcome: "succeeded", amount };
    const request: CallbackRequest = {
      headers: { "webhook-signature": "valid" },
      rawBody: Buffer.from(JSON.stringify({ ...body, providerRef: `ref-${paymentId}` })),
    };
    this.#sending += 1;
    await simulation.sleep(simulation.latency());
    for (let tries = 1; tries <= CALLBACK_TRIES_MAX; tries += 1) {
      const isTaken = await send(paymentId, request);
      if (isTaken && simulation.random() >= DUPLICATE_SHARE) break;
      await simulation.sleep(isTaken ? simulation.latency() : CALLBACK_RETRY_MS * tries);
    }
    this.#sending -= 1;
  }

  channels(): Channels {
    const ask = <T>(name: string, effect: () => T): Promise<T> =>
      this.#network.call({
        label: `provider ${name}`,
        faults: FAULTS,
        effect,
        timeoutMs: TIMEOUT_MS,
        timedOut: () => new PlatformError("PAYMENT_PROVIDER_UNAVAILABLE"),
      });
    const mock: SimulatingChannel = {
      name: "mock",
      register: (charges) =>
        ask("register", () => {
          for (const { paymentId, amount } of charges) {
            if (!this.#charges.has(paymentId))
              this.#charges.set(paymentId, { status: "open", amount });
          }
          return charges.map(() => null);
        }),
      close: (ids) => ask("close", () => ids.map((id) => this.#close(id))),
      query: (ids) => ask("query", () => ids.map((id) => this.#stateOf(id))),
      refund: ({ refundId, paymentId, amount }) =>
        ask("refund", () => {
          this.refunds.set(refundId, { paymentId, amount });
        }),
      listCaptured: undefined,
      verify: verified,
      simulate: () => Promise.reject(new PlatformError("PAYMENT_ILLEGAL_STATE")),
    };
    return channelsOf({ mock }, () => undefined);
  }

  #close(paymentId: string): ChargeState {
    const charge = this.#charges.get(paymentId) ?? { status: "closed", amount: 0 };
    this.#charges.set(paymentId, charge);
    if (charge.status === "open") charge.status = "closed";
    return this.#stateOf(paymentId);
  }

  #stateOf(paymentId: string): ChargeState {
    const { status, amount } = this.#charges.get(paymentId) ?? { status: "open", amount: 0 };
    const isCaptured = status === "captured";
    return {
      paymentId,
      status,
      amount: isCaptured ? amount : 0,
      providerRef: isCaptured ? `ref-${paymentId}` : "",
    };
  }
}

const verified: SimulatingChannel["verify"] = ({ rawBody }) =>
  JSON.parse(rawBody.toString()) as ReturnType<SimulatingChannel["verify"]>;
