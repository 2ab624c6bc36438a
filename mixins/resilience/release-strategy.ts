// Which node an action is called on: one of the release that the request belongs to, else one of the
// caller's own, else any. Among those a service of this node comes first, then they take turns. A
// release is a node's `metadata.version`; a request without one stays with the release it is in.
import { type Context, type ServiceBroker, Strategies } from "moleculer";
import type { CallMeta } from "../service.ts";

interface Endpoint {
  readonly local: boolean;
  readonly node: { readonly metadata?: unknown };
}

type Registry = ServiceBroker["registry"];

export class ReleaseStrategy extends Strategies.Base {
  readonly #own: unknown;
  #turn = 0;

  constructor(registry: Registry, broker: ServiceBroker, options: object) {
    super(registry, broker, options);
    this.#own = versionOf(broker.metadata);
  }

  // Moleculer's type of an endpoint lacks what every endpoint has.
  override select(list: never[], ctx?: Context): never {
    const endpoints: readonly Endpoint[] = list;
    const asked = (ctx?.meta as CallMeta | undefined)?.release;
    return (this.#of(endpoints, asked) ??
      this.#of(endpoints, this.#own) ??
      this.#oneOf(endpoints)) as never;
  }

  #of(endpoints: readonly Endpoint[], version: unknown): Endpoint | undefined {
    if (version === undefined) return undefined;
    return this.#oneOf(endpoints.filter(({ node }) => versionOf(node.metadata) === version));
  }

  #oneOf(endpoints: readonly Endpoint[]): Endpoint | undefined {
    const local = endpoints.find((one) => one.local);
    if (local !== undefined) return local;
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER;
    return endpoints[this.#turn % endpoints.length];
  }
}

function versionOf(metadata: unknown): unknown {
  return (metadata as { version?: unknown } | null | undefined)?.version;
}
