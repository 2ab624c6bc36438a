// Floor F, second process: one EVALSHA per sale and request of the gateway, then one transaction for the
// winners that piled up while the last one committed: the sale's row locked, admissions, its count, one
// outbox row. The answer is sent after the commit.
import { connect, type NatsConnection } from "nats";
import { serve } from "../child-process.ts";
import { FloorDatabase, grouped } from "../floor-database.ts";
import type { FloorAnswer } from "./floor-buyers.ts";
import { FloorGate } from "./floor-gate.ts";
import { admitSubject, type FloorAdmitted, hintSubject, natsOptions } from "./floor-wire.ts";

const COMMIT_MAX = 256;

export interface AdmissionParams {
  readonly mysqlUrl: string;
  readonly schema: string;
  readonly redisUrl: string;
  readonly natsUrl: string;
  readonly namespace: string;
}

interface Winner {
  readonly userId: string;
  readonly orderId: string;
}

class Admission {
  readonly #database: FloorDatabase;
  readonly #gate: FloorGate;
  readonly #hint: () => void;
  readonly #commits = new Map<string, (winner: Winner) => Promise<void>>();

  constructor(database: FloorDatabase, gate: FloorGate, hint: () => void) {
    this.#database = database;
    this.#gate = gate;
    this.#hint = hint;
  }

  async open({ id, units }: { readonly id: string; readonly units: number }): Promise<void> {
    await this.#database.run(
      `INSERT INTO sales (id, sku_id, product_id, name, title, price, currency, quantity, status,
         mode, epoch, starts_at, ends_at, created_by)
       VALUES (${id}, 1, 1, 'Floor', 'Floor', 1999, 'CNY', ${units}, 'published', 'redis', 1,
         NOW(3), NOW(3) + INTERVAL 1 DAY, 1)`,
    );
    await this.#gate.open(id, units);
  }

  /** @param params sale id and user id in turn. */
  async admit(params: readonly string[]): Promise<readonly FloorAnswer[]> {
    const bySale = new Map<string, { index: number; userId: string }[]>();
    for (let at = 0; at < params.length; at += 2) {
      const saleId = params[at] ?? "";
      const buyers = bySale.get(saleId) ?? [];
      bySale.set(saleId, buyers);
      buyers.push({ index: at / 2, userId: params[at + 1] ?? "" });
    }
    const answers: FloorAnswer[] = new Array<FloorAnswer>(params.length / 2);
    await Promise.all(
      [...bySale].map(async ([saleId, buyers]) => {
        const userIds = buyers.map(({ userId }) => userId);
        const given = await this.#gate.admit(saleId, userIds);
        buyers.forEach(({ index }, position) => {
          answers[index] = given[position] ?? { slug: "SERVICE_UNAVAILABLE" };
        });
        const commit = this.#commitOf(saleId);
        const winners = given.flatMap((answer, position) =>
          "orderId" in answer ? [{ userId: userIds[position] ?? "", orderId: answer.orderId }] : [],
        );
        await Promise.all(winners.map(commit));
      }),
    );
    return answers;
  }

  #commitOf(saleId: string): (winner: Winner) => Promise<void> {
    const known = this.#commits.get(saleId);
    if (known !== undefined) return known;
    const commit = grouped<Winner>(true, COMMIT_MAX, async (winners) => {
      await this.#commit(saleId, winners);
      this.#hint();
    });
    this.#commits.set(saleId, commit);
    return commit;
  }

  /** Three round trips: the fence, everything that is written, the commit. */
  async #commit(saleId: string, winners: readonly Winner[]): Promise<void> {
    const event: FloorAdmitted = {
      sale: saleId,
      orders: winners.flatMap(({ orderId, userId }) => [orderId, userId]),
    };
    await this.#database.transaction(async (run) => {
      const [sale] = await run(
        `SELECT epoch, mode, quantity, granted FROM sales WHERE id = ${saleId} FOR UPDATE`,
      );
      const rows = rowsOf(saleId, winners, Number(sale?.["granted"]));
      await run(
        `INSERT INTO admissions (order_id, sale_id, user_id, live, state, seq, epoch, request_id)
           VALUES ${rows};
         UPDATE sales SET admitted = admitted + ${winners.length},
             granted = granted + ${winners.length}, version = version + 1
           WHERE id = ${saleId} AND admitted + ${winners.length} <= quantity;
         INSERT INTO outbox (name, aggregate_id, aggregate_version, payload)
           VALUES ('floor', ${saleId}, 1, '${JSON.stringify(event)}')`,
      );
    });
  }
}

function rowsOf(saleId: string, winners: readonly Winner[], granted: number): string {
  return winners
    .map(({ orderId, userId }, index) => {
      const seq = granted + index + 1;
      return `(${orderId}, ${saleId}, ${userId}, 1, 'live', ${seq}, 1, '${orderId}')`;
    })
    .join(",");
}

let admission: Admission | undefined;

serve({
  async prepare({ mysqlUrl, schema, redisUrl, natsUrl, namespace }: AdmissionParams) {
    const database = await FloorDatabase.open(mysqlUrl, schema, { hasManyStatements: true });
    const nats = await connect(natsOptions(natsUrl));
    const hint = (): void => nats.publish(hintSubject(namespace));
    const gate = new FloorGate(redisUrl, namespace);
    admission = new Admission(database, gate, hint);
    answerAll(nats, admitSubject(namespace), admission);
  },
  open: (sale: { readonly id: string; readonly units: number }) => admission?.open(sale),
});

function answerAll(nats: NatsConnection, subject: string, from: Admission): void {
  nats.subscribe(subject, {
    callback: (error, message) => {
      if (error !== null) return;
      void from
        .admit(message.json<readonly string[]>())
        .catch((failure: unknown) => {
          console.error(`floor: ${String(failure)}`);
          return [];
        })
        .then((answers) => message.respond(JSON.stringify(answers)));
    },
  });
}
