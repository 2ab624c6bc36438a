// The dashboards of the shop, in the order they are read.
import { MESSAGES, NODES, SERVERS } from "./machine-dashboards.ts";
import type { DashboardSpec } from "./render.ts";
import { FLASH_SALE, ORDERS, OVERVIEW } from "./shop-dashboards.ts";

export const DASHBOARDS: readonly DashboardSpec[] = [
  OVERVIEW,
  FLASH_SALE,
  ORDERS,
  MESSAGES,
  NODES,
  SERVERS,
];
