// The logins of the containers' Redis and message server are those of config/access.ts, and the real
// servers read them so.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { findServer } from "../../scripts/launcher/find-programs.ts";
import { DEPLOYED_ROLES, natsConfig, redisArguments } from "../support/deployed-access.ts";
import { eventually } from "../support/eventually.ts";
import { readRoot, ROOT } from "../support/source.ts";
import { readYaml } from "../support/yaml.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";

const run = promisify(execFile);
const PASSWORD = "p0123456789abcdef";

interface Compose {
  readonly services: Readonly<
    Record<string, { readonly command?: string[]; readonly environment?: Record<string, string> }>
  >;
}

describe("logins in containers", function () {
  this.timeout(60_000);
  const { services } = readYaml("docker-compose.yml") as Compose;
  const command = services["redis"]?.command ?? [];
  const usersAt = command.indexOf("--user");

  it("are the same at Redis as the launcher's", () => {
    assert.deepEqual(command.slice(usersAt), DEPLOYED_ROLES.flatMap(redisArguments));
  });

  it("are the same at the message server as the launcher's", () => {
    assert.equal(readRoot("deploy/nats/nats.conf"), natsConfig());
  });

  it("are used by each role for itself", () => {
    for (const role of DEPLOYED_ROLES) {
      const { REDIS_URL = "", NATS_URL = "" } = services[role]?.environment ?? {};
      const password = `_${role.toUpperCase()}_PASSWORD:?`;
      assert.ok(REDIS_URL.startsWith(`redis://${role}:\${REDIS${password}`), REDIS_URL);
      assert.ok(NATS_URL.startsWith(`nats://${role}:\${NATS${password}`), NATS_URL);
    }
  });

  it("are read by the real message server", async () => {
    const program = await findServer("nats");
    assert.ok(program !== null);
    const env: NodeJS.ProcessEnv = { ...process.env, NATS_PASSWORD: PASSWORD };
    for (const role of DEPLOYED_ROLES) env[`NATS_${role.toUpperCase()}_PASSWORD`] = PASSWORD;
    for (const file of ["nats.conf", "infra.conf"]) {
      await run(program.path, ["-t", "-c", join(ROOT, "deploy/nats", file)], { env });
    }
  });

  it("are read by the real Redis", async () => {
    const program = await findServer("redis");
    assert.ok(program !== null);
    const port = await findFreePort();
    const filled = command
      .slice(usersAt)
      .map((word) => word.replace(/\$\{[A-Z_]+:\?[^}]+\}/, PASSWORD));
    const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", ...filled];
    const server = spawn(program.path, args, { stdio: "ignore" });
    const ended = once(server, "exit");
    try {
      for (const role of DEPLOYED_ROLES) {
        const redis = new Redis(port, "127.0.0.1", { username: role, password: PASSWORD });
        redis.on("error", () => undefined);
        await eventually(() => redis.set("shop:product:deployed", "1"), {
          timeoutMs: 20_000,
          what: `${role} writes a key of its own`,
        });
        await assert.rejects(redis.flushall(), /NOPERM/);
        await assert.rejects(redis.get("shop:order:deployed"), /NOPERM/);
        redis.disconnect();
      }
    } finally {
      server.kill("SIGKILL");
      await ended;
    }
  });
});
