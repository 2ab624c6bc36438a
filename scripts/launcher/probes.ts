// Ready probes: a server is ready when it answers *with our credentials*, so that a stranger on the same port
// is never taken for ours.
import { connect } from "node:net";
import mysql from "mysql2/promise";

const PROBE_TIMEOUT_MS = 1_000;

export interface ProbeTarget {
  host: string;
  port: number;
  password: string;
  user?: string;
}

/** True when Redis accepts the password and answers PING. */
export async function probeRedis({ host, port, password }: ProbeTarget): Promise<boolean> {
  return await converse(host, port, {
    opening: `AUTH ${password}\r\nPING\r\n`,
    isReady: (answer) => answer.startsWith("+OK\r\n+PONG"),
  });
}

/** True when NATS has JetStream on, accepts user and password and answers PING. */
export async function probeNats({ host, port, user, password }: ProbeTarget): Promise<boolean> {
  const login = JSON.stringify({ user, pass: password, verbose: false, pedantic: false });
  return await converse(host, port, {
    opening: `CONNECT ${login}\r\nPING\r\n`,
    isReady: (answer) => answer.includes('"jetstream":true') && answer.includes("\r\nPONG"),
  });
}

interface Conversation {
  opening: string;
  isReady: (answer: string) => boolean;
}

async function converse(host: string, port: number, talk: Conversation): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port, timeout: PROBE_TIMEOUT_MS });
    const finish = (isReady: boolean): void => {
      socket.destroy();
      resolve(isReady);
    };
    let answer = "";
    socket.once("connect", () => socket.write(talk.opening));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      if (talk.isReady(answer)) finish(true);
    });
    socket.once("timeout", () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
  });
}

/** True when the database accepts user and password and answers a statement. */
export async function probeMysql({ host, port, user, password }: ProbeTarget): Promise<boolean> {
  try {
    const connection = await mysql.createConnection({
      host,
      port,
      password,
      connectTimeout: PROBE_TIMEOUT_MS,
      ...(user === undefined ? {} : { user }),
    });
    await connection.ping();
    await connection.end();
    return true;
  } catch {
    return false;
  }
}
