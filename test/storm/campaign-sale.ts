// One sale of a campaign: sold to a crowd of few more buyers than units, some of whom pay, cancel or click twice,
// then held against its rows. Its orders' rows are read in the database, past everything that answers buyers.
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { schemaName } from "../../config/database.ts";
import { type BuyerPlan, seededRandom } from "../../scripts/demo/buyer-plan.ts";
import type { SaleAudit } from "../../services/contracts/seckill.ts";
import { eventually } from "../support/eventually.ts";
import type { SaleRecord } from "./records.ts";
import type { Stage } from "./stage.ts";
import { calmBuyer, StormedSale } from "./stormed-sale.ts";

/** Buyers per unit: some clicks are lost, some orders cancelled and sold again. */
const BUYERS_PER_UNIT = 1.05;
const ARRIVALS_PER_S = 5_000;
const SOCKETS = 256;
const TWICE_SHARE = 0.04;
const PAYS_SHARE = 0.01;
const CANCELS_SHARE = 0.02;
const AFTERTHOUGHT_MS = 400;
const SECOND_CLICK_MS = 20;
const STALL_MAX_MS = 90_000;
/** Unpaid orders outlive the campaign. */
const MOVING = ["queued", "closing"] as const;
const READ_TIMEOUT_MS = 60_000;
const CLOSED_TIMEOUT_MS = 60_000;
const RETRY_INTERVAL_MS = 500;

export interface CampaignSaleOptions {
  readonly units: number;
  readonly seed: number;
  readonly door: () => string | undefined;
}

export class CampaignSale {
  readonly #stage: Stage;
  readonly #units: number;
  readonly #stormed: StormedSale;

  private constructor(stage: Stage, units: number, stormed: StormedSale) {
    this.#stage = stage;
    this.#units = units;
    this.#stormed = stormed;
  }

  /** Published, and the crowd is on its way. A shop that is being killed is asked again. */
  static async begin(stage: Stage, options: CampaignSaleOptions): Promise<CampaignSale> {
    const { units, seed, door } = options;
    const title = `Campaign, seed ${seed}`;
    const stormed = await again("a sale is published", () =>
      StormedSale.open(stage, { units, title, sockets: SOCKETS, door }),
    );
    stormed.send(planBuyers(units, seed), stormed.opensMs);
    return new CampaignSale(stage, units, stormed);
  }

  get saleId(): string {
    return this.#stormed.sale.id;
  }

  get promised(): number {
    return this.#stormed.witness.counts.promised;
  }

  async whenDecided(): Promise<void> {
    await this.#stormed.whenDecided(buyersOf(this.#units), STALL_MAX_MS);
  }

  /** Everything that can be known of it, when its orders are there and the rest is returned. */
  async verify(): Promise<SaleRecord> {
    const stormed = this.#stormed;
    await stormed.whenGone();
    const unsold = await stormed.sellTheRest(MOVING);
    await eventually(async () => (await this.#stage.admin.close(this.saleId)).status === "closed", {
      timeoutMs: CLOSED_TIMEOUT_MS,
      what: `sale ${this.saleId} is closed`,
      intervalMs: RETRY_INTERVAL_MS,
    });
    stormed.close();
    const owners = await again("the orders can be read", () =>
      readOwners(this.#stage, this.saleId),
    );
    const audit = await stormed.audit();
    const { promises, counts } = stormed.witness;
    const lost = promises.filter(
      ({ buyer, orderId }) => owners.get(orderId) !== stormed.userIdOf(buyer),
    ).length;
    return {
      saleId: this.saleId,
      units: this.#units,
      promised: counts.promised,
      requests: counts.requests,
      givenBack: audit.given_back,
      lost,
      oversold: Math.max(0, audit.live - audit.quantity),
      undersold: unsold + Math.abs(audit.quantity - audit.live - audit.returned),
      twice: twiceIn(audit),
      faults: [
        ...counts.faults,
        ...audit.offending.map(({ rule }) => rule),
        ...(ordersOf(audit) === owners.size ? [] : ["orders, against rows of the sale"]),
      ],
    };
  }
}

function buyersOf(units: number): number {
  return Math.ceil(units * BUYERS_PER_UNIT);
}

function planBuyers(units: number, seed: number): readonly BuyerPlan[] {
  const random = seededRandom(seed);
  return Array.from({ length: buyersOf(units) }, (_, index) => {
    const isTwice = random() < TWICE_SHARE;
    const fate = random();
    const isPaying = fate < PAYS_SHARE;
    const isCancelling = !isPaying && fate < PAYS_SHARE + CANCELS_SHARE;
    return {
      ...calmBuyer(index),
      arrivesMs: (index / ARRIVALS_PER_S) * 1_000,
      clicks: isTwice ? 2 : 1,
      clickGapMs: SECOND_CLICK_MS,
      ...(isPaying ? { paysAfterMs: AFTERTHOUGHT_MS } : {}),
      ...(isCancelling ? { cancelsAfterMs: AFTERTHOUGHT_MS } : {}),
    };
  });
}

function twiceIn({ offending }: SaleAudit): number {
  return offending.filter(({ rule }) => rule === "one live admission per buyer").length;
}

function ordersOf({ orders }: SaleAudit): number {
  return Object.values(orders).reduce((sum, count) => sum + count, 0);
}

/** Buyers by order, as the rows say. */
async function readOwners(
  { settings }: Stage,
  saleId: string,
): Promise<ReadonlyMap<string, string>> {
  const connection = await createConnection({
    uri: settings.MYSQL_URL,
    supportBigNumbers: true,
    bigNumberStrings: true,
    rowsAsArray: true,
  });
  try {
    const [rows] = await connection.query<RowDataPacket[]>(
      "SELECT CAST(id AS CHAR), CAST(user_id AS CHAR) FROM ??.orders WHERE sale_id = ?",
      [schemaName(settings, "order"), saleId],
    );
    return new Map(rows as unknown as readonly (readonly [string, string])[]);
  } finally {
    connection.destroy();
  }
}

function again<T extends object>(what: string, attempt: () => Promise<T>): Promise<T> {
  const timing = { timeoutMs: READ_TIMEOUT_MS, what, intervalMs: RETRY_INTERVAL_MS };
  return eventually(attempt, timing);
}
