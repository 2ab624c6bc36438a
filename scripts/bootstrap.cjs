// Runs before `npm start`, `npm test` and `npm run dev`, on whatever Node (18 or newer) the machine has: installs
// the dependencies of the lockfile when they are not installed yet, Node 24 among them. Uses nothing but Node.
"use strict";
const { spawn } = require("node:child_process");
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const ROOT = path.resolve(__dirname, "..");
const MODULES = path.join(ROOT, "node_modules");
const STAMP = path.join(MODULES, ".install-stamp");
const LOCKFILE = path.join(ROOT, "package-lock.json");
const NODE_OLDEST = [22, 18];
const OUTPUT_LINES_SHOWN = 15;
const OUTPUT_BYTES_KEPT = 64 * 1024;
const OTHER_INSTALL_WAIT_MS = 300_000;
const OTHER_INSTALL_POLL_MS = 250;
const isTerminal = process.stdout.isTTY === true && process.env.CI !== "true";

main().catch((error) => {
  fail(`The dependencies could not be installed: ${error.message}`, wayOutOf(error));
});

async function main() {
  if (Number(process.versions.node.split(".")[0]) < 18) {
    fail(`This is Node ${process.versions.node}.`, "Install Node 18 or newer and start again.");
  }
  const wanted = fingerprint();
  if (!isInstalled(wanted)) {
    const release = await takeInstallLock();
    try {
      if (!isInstalled(wanted)) await install(wanted);
    } finally {
      release();
    }
  }
  requireNode();
}

function fingerprint() {
  const hash = createHash("sha256").update(fs.readFileSync(LOCKFILE));
  return hash.update(`${process.platform} ${process.arch}`).digest("hex");
}

function isInstalled(wanted) {
  if (readOr(STAMP, "") === wanted) return true;
  if (!isInstalledByHand()) return false;
  fs.writeFileSync(STAMP, wanted);
  return true;
}

/** True when npm's own record of what lies in node_modules has every package of the lockfile. */
function isInstalledByHand() {
  const present = JSON.parse(readOr(path.join(MODULES, ".package-lock.json"), "{}")).packages ?? {};
  const wanted = JSON.parse(fs.readFileSync(LOCKFILE, "utf8")).packages;
  return Object.entries(wanted).every(([name, entry]) => {
    if (name === "") return true;
    const found = present[name];
    if (found !== undefined) return found.version === entry.version;
    // npm leaves out optional packages for other systems, and what only they need; Node must be there.
    return entry.optional === true && !(/node-linux-/.test(name) && isForThisMachine(entry));
  });
}

function isForThisMachine(entry) {
  const allows = (list, value) => list === undefined || list.includes(value);
  return allows(entry.os, process.platform) && allows(entry.cpu, process.arch);
}

async function install(wanted) {
  const startedAt = Date.now();
  const elapsed = () => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  const say = (text) => process.stdout.write(isTerminal ? `\r\x1b[2K  ${text}` : `  ${text}\n`);
  say("dependencies  installing from the lockfile ...");
  const ticker = isTerminal
    ? setInterval(() => say(`dependencies  installing from the lockfile ... ${elapsed()}`), 200)
    : null;
  try {
    await runNpmCi();
  } finally {
    clearInterval(ticker);
    if (isTerminal) process.stdout.write("\r\x1b[2K");
  }
  fs.writeFileSync(STAMP, wanted);
  process.stdout.write(`  dependencies  installed                ${elapsed()}\n`);
}

function runNpmCi() {
  const script = process.env.npm_execpath;
  const isScript = script !== undefined && /\.[cm]?js$/.test(script);
  const [program, first] = isScript ? [process.execPath, [script]] : ["npm", []];
  // npm's own variables describe the run we are in; a second npm would take them for its settings.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)),
  );
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...first, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: ROOT,
      env,
    });
    let output = "";
    const keep = (chunk) => {
      output = (output + chunk).slice(-OUTPUT_BYTES_KEPT);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", reject);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
      process.once(signal, () => {
        child.kill(signal);
        process.exitCode = 130;
      });
    }
    child.once("close", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          Object.assign(new Error(`npm ci ended with ${signal ?? `code ${code}`}`), { output }),
        );
    });
  });
}

function wayOutOf(error) {
  const output = error.output ?? "";
  process.stderr.write(`${output.trim().split("\n").slice(-OUTPUT_LINES_SHOWN).join("\n")}\n`);
  const text = `${output} ${error.code ?? ""}`;
  if (/ENOSPC/.test(text)) return `Free some space on the disk that holds ${ROOT} and start again.`;
  if (/EACCES|EPERM|EROFS/.test(text)) return `Give ${ROOT} to this user (chown) and start again.`;
  if (/ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|network/i.test(text)) {
    return "The package registry does not answer: check the network and the proxy settings of npm.";
  }
  return "Run `npm ci` by hand to see it whole.";
}

/** One install at a time per folder: two commands in a fresh clone would empty it under each other. */
async function takeInstallLock() {
  const name = createHash("sha256").update(ROOT).digest("hex").slice(0, 16);
  const lock = path.join(os.tmpdir(), `npm-install-${name}.lock`);
  const deadline = Date.now() + OTHER_INSTALL_WAIT_MS;
  let hasSaid = false;
  for (;;) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: "wx" });
      const release = () => fs.rmSync(lock, { force: true });
      process.once("exit", release);
      return release;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const owner = Number(readOr(lock, "0"));
    if (owner > 0 && !isAlive(owner)) fs.rmSync(lock, { force: true });
    else if (Date.now() > deadline) throw new Error(`process ${owner} holds ${lock}`);
    else if (!hasSaid)
      process.stdout.write(`  dependencies  process ${owner} installs them, waiting\n`);
    hasSaid = true;
    await new Promise((resolve) => setTimeout(resolve, OTHER_INSTALL_POLL_MS));
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function requireNode() {
  if (fs.existsSync(path.join(MODULES, ".bin", "node"))) return;
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > NODE_OLDEST[0] || (major === NODE_OLDEST[0] && minor >= NODE_OLDEST[1])) return;
  fail(
    `This is Node ${process.versions.node}, and no packaged Node 24 exists for ${process.platform}-${process.arch}.`,
    `Install Node ${NODE_OLDEST.join(".")} or newer: the services are TypeScript that Node runs as it is.`,
  );
}

function readOr(file, fallback) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return fallback;
  }
}

function fail(sentence, wayOut) {
  process.stderr.write(`\n  ${sentence}\n  ${wayOut}\n\n`);
  process.exit(1);
}
