import assert from "node:assert/strict";
import { checkVersion } from "../../scripts/launcher/find-programs.ts";
import type { ServerKind } from "../../scripts/launcher/find-programs.ts";
import { LauncherError } from "../../scripts/launcher/launcher-error.ts";

const REDIS = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d";
const OLD_REDIS = "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64";
const VALKEY = "Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
const NATS = "nats-server: v2.9.10";
const OLD_NATS = "nats-server: v2.8.4";
const MARIADB =
  "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)";
const OLD_MARIADB = "mariadbd  Ver 10.5.29-MariaDB-0+deb11u1 for debian-linux-gnu on x86_64";
const MYSQL = "/usr/sbin/mysqld  Ver 8.0.40 for Linux on x86_64 (MySQL Community Server - GPL)";
const OLD_MYSQL = "mysqld  Ver 5.7.44 for Linux on x86_64 (MySQL Community Server (GPL))";

describe("server versions", () => {
  const accepted: [ServerKind, string, string, string][] = [
    ["redis", REDIS, "redis", "7.0.15"],
    ["redis", VALKEY, "valkey", "8.0.1"],
    ["nats", NATS, "nats", "2.9.10"],
    ["mysql", MARIADB, "mariadb", "10.11.19"],
    ["mysql", MYSQL, "mysql", "8.0.40"],
  ];
  for (const [kind, answer, flavour, version] of accepted) {
    it(`takes ${flavour} ${version}`, () => {
      const program = checkVersion(kind, "/usr/sbin/server", answer);
      assert.equal(program.flavour, flavour);
      assert.equal(program.version, version);
    });
  }

  const refused: [ServerKind, string, string][] = [
    ["redis", OLD_REDIS, "REDIS_URL"],
    ["nats", OLD_NATS, "NATS_URL"],
    ["mysql", OLD_MARIADB, "MYSQL_URL"],
    ["mysql", OLD_MYSQL, "MYSQL_URL"],
  ];
  for (const [kind, answer, setting] of refused) {
    it(`refuses "${answer.slice(0, 30)}" and names ${setting} as a way out`, () => {
      assert.throws(
        () => checkVersion(kind, "/usr/sbin/server", answer),
        (error) =>
          error instanceof LauncherError && error.exitCode === 2 && error.wayOut.includes(setting),
      );
    });
  }
});
