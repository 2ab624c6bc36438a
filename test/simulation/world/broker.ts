// Calls between the services of the simulated nodes: any living node that has the service may be asked,
// an answer may be lost, and nobody waits longer than the caller says.
import type { Context, ServiceBroker, ServiceSchema } from "moleculer";
import type { Principal } from "../../../mixins/auth/tokens.ts";
import type { CallHeaders } from "../../../mixins/service.ts";
import { PlatformError } from "../../../services/contracts/errors.ts";
import type { Fault } from "../kernel/fault-plan.ts";
import type { Network } from "../kernel/remote.ts";
import { pick } from "../kernel/seeded-random.ts";
import type { Process } from "../kernel/simulation.ts";

const TIMEOUT_MS = 3_000;
const CALL_FAULTS: readonly Fault[] = [
  "crash_before",
  "crash_after",
  "lost_request",
  "lost_reply",
  "late",
];

type Handler = (ctx: Context) => Promise<unknown>;

export interface CallerOptions {
  readonly timeout?: number;
  readonly principal?: Principal;
  readonly headers?: CallHeaders;
  readonly requestId?: string;
}

interface Host {
  readonly process: Process;
  readonly handler: Handler;
}

export class Brokers {
  readonly #network: Network;
  readonly #actions = new Map<string, Host[]>();
  #requests = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  serve(process: Process, schema: ServiceSchema): void {
    for (const [name, action] of Object.entries(schema.actions ?? {})) {
      const { handler } = action as { handler: Handler };
      this.serveAction(process, `${schema.name}.${name}`, handler);
    }
  }

  serveAction(process: Process, action: string, handler: Handler): void {
    const hosts = this.#actions.get(action) ?? [];
    this.#actions.set(action, hosts);
    const host = { process, handler };
    hosts.push(host);
    process.onDeath(() => hosts.splice(hosts.indexOf(host), 1));
  }

  async call(action: string, params: unknown, options: CallerOptions = {}): Promise<unknown> {
    const host = pick(this.#network.simulation.random, this.#actions.get(action) ?? []);
    if (host === undefined) throw new PlatformError("SERVICE_UNAVAILABLE");
    const { process, handler } = host;
    const { simulation } = this.#network;
    return await this.#network.call({
      label: `call ${action}`,
      faults: CALL_FAULTS,
      effect: () =>
        process.isDead
          ? Promise.reject(new PlatformError("SERVICE_UNAVAILABLE"))
          : simulation.as(process, () => handler(this.#context(params, options))),
      timeoutMs: options.timeout ?? TIMEOUT_MS,
      timedOut: () => new PlatformError("SERVICE_UNAVAILABLE"),
    });
  }

  /** What background work calls with. */
  broker(): ServiceBroker {
    const broker = {
      call: (action: string, params: unknown, options?: CallerOptions) =>
        this.call(action, params, options),
      broadcast: () => Promise.resolve(),
    };
    return broker as unknown as ServiceBroker;
  }

  #context(params: unknown, { principal, headers, requestId }: CallerOptions): Context {
    this.#requests += 1;
    const id = requestId ?? `request-${this.#requests}`;
    const context = {
      id,
      requestID: id,
      params: structuredClone(params),
      meta: { requestId: id },
      headers: headers ?? null,
      locals: { principal },
      call: (action: string, more: unknown, options?: CallerOptions) =>
        this.call(action, more, options),
    };
    return context as unknown as Context;
  }
}
