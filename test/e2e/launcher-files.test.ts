import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { openDataFolder } from "../../scripts/launcher/data-folder.ts";
import { LauncherError } from "../../scripts/launcher/launcher-error.ts";
import { lastLines, readLogFrom, rotateLog } from "../../scripts/launcher/log-files.ts";
import { takeLock } from "../../scripts/launcher/lock.ts";
import {
  isPortFree,
  KERNEL_RANGE_FILE,
  outgoingPorts,
  PortBook,
} from "../../scripts/launcher/ports.ts";
import { readPlatformEnv, writePlatformEnv } from "../../scripts/launcher/run-state.ts";
import { openSecrets } from "../../scripts/launcher/secrets.ts";
import { tempFolder } from "../support/temp-folder.ts";

const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe("data folder", () => {
  it("is for its owner alone", () => {
    const folder = openDataFolder(join(tempFolder(), "deep", "data"));
    assert.equal(modeOf(folder.root), 0o700);
  });

  it("says so when a file stands in its place", () => {
    const path = join(tempFolder(), "data");
    writeFileSync(path, "");
    assert.throws(() => openDataFolder(path), /a file stands in its place/);
  });
});

describe("secrets of a data folder", () => {
  it("are kept from one start to the next in a file of mode 0600", () => {
    const folder = openDataFolder(tempFolder());
    const first = openSecrets(folder, {});
    assert.deepEqual(openSecrets(folder, {}), first);
    assert.equal(modeOf(join(folder.root, "secrets.json")), 0o600);
    assert.equal(new Set(Object.values(first)).size, Object.values(first).length);
    assert.match(first.PAYMENT_WEBHOOK_SECRET, /^whsec_[A-Za-z0-9+/]{64}$/);
  });

  it("give way to the environment, which is not kept", () => {
    const folder = openDataFolder(tempFolder());
    const made = openSecrets(folder, {});
    assert.equal(openSecrets(folder, { JWT_SECRET: "from outside" }).JWT_SECRET, "from outside");
    assert.equal(openSecrets(folder, {}).JWT_SECRET, made.JWT_SECRET);
  });

  it("remember the admin's password, so that later starts show the login that works", () => {
    const folder = openDataFolder(tempFolder());
    openSecrets(folder, { ADMIN_PASSWORD: "chosen by hand" });
    assert.equal(openSecrets(folder, {}).ADMIN_PASSWORD, "chosen by hand");
  });

  it("are never replaced in silence when their file is damaged", () => {
    const folder = openDataFolder(tempFolder());
    writeFileSync(join(folder.root, "secrets.json"), '{"JWT_SECRET": "cut sh');
    assert.throws(() => openSecrets(folder, {}), LauncherError);
  });
});

describe("settings of the running platform", () => {
  it("survive the way through the file, whatever characters they hold", () => {
    const folder = openDataFolder(tempFolder());
    const settings = { A: "plain", B: "a # b 'c' \"d\" $e", C: "https://x.test/?a=b&c", D: "" };
    writePlatformEnv(folder, settings);
    assert.deepEqual({ ...readPlatformEnv(folder) }, settings);
    assert.equal(modeOf(join(folder.run, "platform.env")), 0o600);
  });

  it("are missed with a sentence when no platform runs", () => {
    assert.throws(() => readPlatformEnv(openDataFolder(tempFolder())), /No platform runs/);
  });
});

describe("ports of a data folder", () => {
  it("stay the same while they are free, and move when another program has them", async () => {
    const dir = tempFolder();
    const first = await new PortBook(dir).take("redis");
    assert.equal(await new PortBook(dir).take("redis"), first);
    const other = createServer().listen(first, "127.0.0.1");
    try {
      await new Promise((resolve) => other.once("listening", resolve));
      assert.equal((other.address() as AddressInfo).port, first);
      assert.equal(await isPortFree(first), false);
      assert.notEqual(await new PortBook(dir).take("redis"), first);
    } finally {
      other.close();
    }
  });

  it("move out of those of outgoing connections, where an older start had found them", async () => {
    const dir = tempFolder();
    const { first } = outgoingPorts(KERNEL_RANGE_FILE);
    writeFileSync(join(dir, "ports.json"), JSON.stringify({ redis: first }));
    assert.notEqual(await new PortBook(dir).take("redis"), first);
  });

  it("are never given to two names", async () => {
    const book = new PortBook(tempFolder());
    const ports = [await book.take("a"), await book.take("b"), await book.take("c")];
    assert.equal(new Set(ports).size, 3);
  });
});

describe("lock of a data folder", () => {
  const status = { pid: 42, state: "running", url: "http://localhost:8080" } as const;

  it("tells the second launcher where the first one runs, and is free after it", async () => {
    const folder = openDataFolder(tempFolder());
    const first = await takeLock(folder, () => status);
    assert.ok(first.isMine);
    const second = await takeLock(folder, () => status);
    assert.deepEqual(second, { isMine: false, owner: status });
    await first.release();
    const third = await takeLock(folder, () => status);
    assert.ok(third.isMine);
    await third.release();
  });

  it("goes to exactly one of many that come at once", async () => {
    const folder = openDataFolder(tempFolder());
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => takeLock(folder, () => status)),
    );
    const owners = outcomes.filter((outcome) => outcome.isMine);
    assert.equal(owners.length, 1);
    for (const owner of owners) await owner.release();
  });

  it("works in a folder whose path is too long for a socket", async () => {
    const folder = openDataFolder(join(tempFolder(), "x".repeat(90)));
    const lock = await takeLock(folder, () => status);
    assert.ok(lock.isMine);
    assert.equal((await takeLock(folder, () => status)).isMine, false);
    await lock.release();
  });
});

describe("log files", () => {
  it("are rotated by size and kept in a bounded number", async () => {
    const file = join(tempFolder(), "edge.log");
    for (const text of ["first\n", "second\n", "third\n", "fourth\n"]) {
      writeFileSync(file, text);
      assert.equal(await rotateLog(file, { bytesMax: 4, filesKept: 2 }), true);
    }
    assert.equal(readFileSync(file, "utf8"), "");
    assert.equal(readFileSync(`${file}.1`, "utf8"), "fourth\n");
    assert.equal(readFileSync(`${file}.2`, "utf8"), "third\n");
    assert.equal(existsSync(`${file}.3`), false);
  });

  it("are left alone while they are small", async () => {
    const file = join(tempFolder(), "edge.log");
    writeFileSync(file, "small\n");
    assert.equal(await rotateLog(file, { bytesMax: 100, filesKept: 2 }), false);
    assert.equal(readFileSync(file, "utf8"), "small\n");
  });

  it("give their last lines and what was written since a moment", () => {
    const folder = tempFolder();
    mkdirSync(folder, { recursive: true });
    const file = join(folder, "edge.log");
    writeFileSync(file, "one\ntwo\n\nthree\n");
    assert.deepEqual(lastLines(file, 2), ["two", "three"]);
    assert.equal(readLogFrom(file, 8), "\nthree\n");
    assert.deepEqual(lastLines(join(folder, "none.log"), 2), []);
  });
});
