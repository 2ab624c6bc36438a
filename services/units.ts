// Which module makes which service. Modules are loaded on demand, so that a node carries only the
// code of what it runs.
import type { ServiceSchema } from "moleculer";
import type { ServiceUnit } from "../config/roles.ts";
import type { PlatformNode } from "./node.ts";

interface ServiceModule {
  wire(node: PlatformNode): ServiceSchema;
}

export const SERVICE_MODULES: Readonly<Record<ServiceUnit, () => Promise<ServiceModule>>> = {
  gateway: () => import("./gateway/gateway.service.ts"),
  user: () => import("./user/user.service.ts"),
  product: () => import("./product/product.service.ts"),
  inventory: () => import("./inventory/inventory.service.ts"),
  order: () => import("./order/order.service.ts"),
  payment: () => import("./payment/payment.service.ts"),
  seckill: () => import("./seckill/seckill.service.ts"),
  operations: () => import("./operations/operations.service.ts"),
  "user-worker": () => import("./user/user.worker.ts"),
  "product-worker": () => import("./product/product.worker.ts"),
  "inventory-worker": () => import("./inventory/inventory.worker.ts"),
  "order-worker": () => import("./order/order.worker.ts"),
  "payment-worker": () => import("./payment/payment.worker.ts"),
  "seckill-worker": () => import("./seckill/seckill.worker.ts"),
  auditor: () => import("./auditor/auditor.service.ts"),
  provider: () => import("./payment/provider/provider.service.ts"),
};
