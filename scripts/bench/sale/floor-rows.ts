// Floors of the database alone. `hotRow` (U): one conditional update of one row, as shops do that sell
// without a gate; no HTTP, no order. `rows` (P): order and item rows, 500 orders in a statement pair and
// transaction, four transactions at once.
import { serveUnits } from "../child-process.ts";
import type { Unit } from "../closed-loop.ts";
import { FloorDatabase } from "../floor-database.ts";
import { ROWS_PER_UNIT } from "./floor-row-size.ts";

const HOT_SALE = "2";
const UNITS = 1_000_000_000;

export interface RowsParams {
  readonly mysqlUrl: string;
  readonly admissionSchema: string;
  readonly orderSchema: string;
}

serveUnits(async (params: RowsParams): Promise<Record<string, Unit>> => {
  const { mysqlUrl, admissionSchema, orderSchema } = params;
  const sales = await FloorDatabase.open(mysqlUrl, admissionSchema, { plainConnections: 16 });
  const orders = await FloorDatabase.open(mysqlUrl, orderSchema, { hasManyStatements: true });
  await sales.run(
    `INSERT INTO sales (id, sku_id, product_id, name, title, price, currency, quantity, status,
       mode, epoch, starts_at, ends_at, created_by)
     VALUES (${HOT_SALE}, 1, 1, 'Floor', 'Floor', 1999, 'CNY', ${UNITS}, 'published', 'db', 1,
       NOW(3), NOW(3) + INTERVAL 1 DAY, 1)`,
  );
  let lastId = BigInt(Date.now()) << 21n;
  return {
    hotRow: async () => {
      await sales.run(
        `UPDATE sales SET admitted = admitted + 1, granted = granted + 1
           WHERE id = ${HOT_SALE} AND admitted < quantity`,
      );
    },
    rows: async () => {
      const first = lastId + 1n;
      lastId += BigInt(ROWS_PER_UNIT);
      await orders.transaction((run) => run(insertText(first)));
    },
  };
});

function insertText(first: bigint): string {
  const orders: string[] = [];
  const items: string[] = [];
  for (let index = 0; index < ROWS_PER_UNIT; index += 1) {
    const id = String(first + BigInt(index));
    orders.push(`(${id}, ${id}, 'pending_payment', 1, 1999, 0, 0, 'CNY', ${HOT_SALE}, NOW(3))`);
    items.push(`(${id}, 0, 1, 1, 'Floor', 1, 1999)`);
  }
  return `INSERT INTO orders (id, user_id, status, version, total_price, discount, refunded_amount,
       currency, sale_id, expires_at) VALUES ${orders.join(",")};
     INSERT INTO order_items (order_id, line, sku_id, product_id, name, quantity, price)
       VALUES ${items.join(",")}`;
}
