// Which services run together. A node is told names of services or of these roles, in any mix.

export const SERVICE_UNITS = [
  "gateway",
  "user",
  "product",
  "inventory",
  "order",
  "payment",
  "seckill",
  "operations",
  "user-worker",
  "product-worker",
  "inventory-worker",
  "order-worker",
  "payment-worker",
  "seckill-worker",
  "auditor",
  "provider",
] as const;
export type ServiceUnit = (typeof SERVICE_UNITS)[number];

/**
 * The default split, one process per role. `edge` holds what a browsing request needs, so that a
 * cached product read makes no hop; `worker` keeps relays, consumers and scanners away from the
 * processes that answer. `operations` is in two of them: the switches are for when one is in trouble.
 */
export const ROLES = {
  edge: ["gateway", "seckill", "product", "inventory"],
  core: ["user", "product", "inventory", "order", "payment", "operations"],
  worker: [
    "user-worker",
    "product-worker",
    "inventory-worker",
    "order-worker",
    "payment-worker",
    "seckill-worker",
    "auditor",
    "operations",
    "provider",
  ],
} as const satisfies Record<string, readonly ServiceUnit[]>;
export type Role = keyof typeof ROLES;

/** Resolves a SERVICES setting to service units, without repetitions. Unknown names are returned
 * apart, for the caller's error. */
export function resolveServices(setting: string): {
  readonly units: readonly ServiceUnit[];
  readonly unknown: readonly string[];
} {
  const units = new Set<ServiceUnit>();
  const unknown: string[] = [];
  for (const word of setting.split(",").map((part) => part.trim())) {
    if (word in ROLES) for (const unit of ROLES[word as Role]) units.add(unit);
    else if (isServiceUnit(word)) units.add(word);
    else unknown.push(word);
  }
  return { units: [...units], unknown };
}

function isServiceUnit(word: string): word is ServiceUnit {
  return (SERVICE_UNITS as readonly string[]).includes(word);
}
