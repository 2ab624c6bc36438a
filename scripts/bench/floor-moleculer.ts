// Floor M: one moleculer-web route to one action with a parameter schema, in one process, with
// Moleculer's own defaults and no logging: the least this framework does for a request.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ServiceBroker, type ServiceSchema } from "moleculer";
import ApiGateway from "moleculer-web";
import { serve } from "./child-process.ts";

serve({
  /** Answers the port. */
  listen: async ({ body }: { body: string }) => {
    const product: unknown = JSON.parse(body);
    const broker = new ServiceBroker({ logger: false });
    const gateway = broker.createService({
      name: "gateway",
      mixins: [ApiGateway],
      settings: {
        ip: "127.0.0.1",
        port: 0,
        routes: [
          {
            path: "/api/v1",
            mappingPolicy: "restrict",
            bodyParsers: false,
            aliases: { "GET products/:id": "product.get" },
          },
        ],
      },
    } as unknown as ServiceSchema);
    broker.createService({
      name: "product",
      actions: { get: { params: { id: "string" }, handler: () => product } },
    } as ServiceSchema);
    await broker.start();
    const { server } = gateway as unknown as { server: Server };
    return (server.address() as AddressInfo).port;
  },
});
