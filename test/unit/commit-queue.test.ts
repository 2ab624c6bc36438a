// Group commit without a database: which commands share a commit, and what each is told.
import assert from "node:assert/strict";
import { currentContext, type RequestContext, runInContext } from "../../mixins/context.ts";
import {
  type CommitQueue,
  type CommitQueueOptions,
  createCommitQueue,
  Refusal,
} from "../../mixins/database/commit-queue.ts";
import { TRACE_LINKS_MAX } from "../../mixins/tracing/traceparent.ts";
import { isPlatformError, PlatformError } from "../../services/contracts/errors.ts";
import { eventually } from "../support/eventually.ts";

type Commit = CommitQueueOptions<string, string>["commit"];

/** A queue that records its batches; each commit waits for `open()` when it is gated. */
function gatedQueue(
  limits: { batchSizeMax?: number; queueLengthMax?: number; waitMaxMs?: number } = {},
): {
  queue: CommitQueue<string, string>;
  batches: string[][];
  open: () => void;
} {
  const batches: string[][] = [];
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const commit: Commit = async (commands) => {
    batches.push([...commands]);
    await gate;
    return commands.map((command) => `${command} done`);
  };
  const queue = createCommitQueue<string, string>({
    name: "test",
    batchSizeMax: 3,
    queueLengthMax: 100,
    ...limits,
    commit,
  });
  return { queue, batches, open: () => open() };
}

function queueOf(commit: Commit): CommitQueue<string, string> {
  return createCommitQueue({ name: "test", batchSizeMax: 10, queueLengthMax: 100, commit });
}

const WAITED = { timeoutMs: 10_000, what: "the command has waited" };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("the commit queue", () => {
  it("commits for a traced request, and names the other traced ones, a bounded number", async () => {
    const contextOf = (at: number, flags = "01"): string =>
      `00-${String(at).padStart(32, "a")}-${String(at).padStart(16, "b")}-${flags}`;
    const seen: RequestContext[] = [];
    const queue = createCommitQueue<string, string>({
      name: "test",
      batchSizeMax: 100,
      queueLengthMax: 100,
      commit: (commands) => {
        seen.push(currentContext() ?? { requestId: "none" });
        return Promise.resolve(commands);
      },
    });
    const submit = (traceparents: readonly string[]) =>
      Promise.all(
        traceparents.map((traceparent, at) =>
          runInContext({ requestId: String(at), traceparent }, () => queue.submit("x")),
        ),
      );
    await submit([
      contextOf(0, "00"),
      contextOf(1),
      contextOf(2, "00"),
      contextOf(3),
      contextOf(1),
    ]);
    await submit([contextOf(0, "00"), contextOf(1, "00")]);
    await submit(Array.from({ length: TRACE_LINKS_MAX + 5 }, (_, at) => contextOf(at)));
    const [some, none, many] = seen;
    assert.deepEqual(some, { requestId: "1", traceparent: contextOf(1), links: [contextOf(3)] });
    assert.equal(none?.links, undefined);
    assert.equal(many?.links?.length, TRACE_LINKS_MAX);
  });

  it("refuses what has waited too long, and commits what came after it", async () => {
    const waitMaxMs = 200;
    const { queue, batches, open } = gatedQueue({ waitMaxMs });
    const first = queue.submit("a");
    await turn();
    const late = assert.rejects(queue.submit("b"), (error) => isPlatformError(error, "OVERLOADED"));
    const lateFromMs = performance.now() + waitMaxMs;
    await eventually(() => performance.now() > lateFromMs, WAITED);
    const last = queue.submit("c");
    open();
    assert.deepEqual(await Promise.all([first, last]), ["a done", "c done"]);
    await late;
    assert.deepEqual(batches, [["a"], ["c"]]);
    assert.equal(queue.stats.waiting, 0);
  });

  it("comes to rest when all that waited came too late", async () => {
    const { queue, batches, open } = gatedQueue({ waitMaxMs: 0 });
    const first = assert.rejects(queue.submit("a"), (error) =>
      isPlatformError(error, "OVERLOADED"),
    );
    open();
    await first;
    await queue.drain();
    assert.deepEqual(batches, []);
  });

  it("commits for the request of the batch's first command, not for the one that found it idle", async () => {
    const seen: (string | undefined)[] = [];
    const queue = createCommitQueue<string, string>({
      name: "test",
      batchSizeMax: 1,
      queueLengthMax: 100,
      commit: (commands) => {
        seen.push(currentContext()?.requestId);
        return Promise.resolve([...commands]);
      },
    });
    const submits = ["first", "second"].map((requestId) =>
      runInContext({ requestId }, () => queue.submit(requestId)),
    );
    await Promise.all([...submits, queue.submit("of no request")]);
    assert.deepEqual(seen, ["first", "second", undefined]);
  });

  it("puts what is submitted in one turn into one commit", async () => {
    const { queue, batches, open } = gatedQueue();
    open();
    const outcomes = await Promise.all(["a", "b", "c"].map((one) => queue.submit(one)));
    assert.deepEqual(outcomes, ["a done", "b done", "c done"]);
    assert.deepEqual(batches, [["a", "b", "c"]]);
    assert.deepEqual(queue.stats, { waiting: 0, commits: 1, committed: 3 });
  });

  it("keeps what arrives during a commit for the next one, in bounded batches", async () => {
    const { queue, batches, open } = gatedQueue({ batchSizeMax: 3 });
    const first = queue.submit("a");
    await turn();
    await turn();
    const later = ["b", "c", "d", "e"].map((one) => queue.submit(one));
    await turn();
    assert.deepEqual(batches, [["a"]], "one commit at a time");
    open();
    await Promise.all([first, ...later]);
    assert.deepEqual(batches, [["a"], ["b", "c", "d"], ["e"]]);
  });

  it("starts again after it was idle", async () => {
    const { queue, batches, open } = gatedQueue();
    open();
    await queue.submit("a");
    await queue.submit("b");
    assert.deepEqual(batches, [["a"], ["b"]]);
  });

  it("tries a failed batch once more", async () => {
    let commits = 0;
    const queue = queueOf((commands) => {
      commits += 1;
      return commits === 1 ? Promise.reject(new Error("lost")) : Promise.resolve(commands);
    });
    assert.deepEqual(await Promise.all([queue.submit("a"), queue.submit("b")]), ["a", "b"]);
    assert.equal(commits, 2);
  });

  it("lets one bad command fail alone", async () => {
    const batches: string[][] = [];
    const queue = queueOf((commands) => {
      batches.push([...commands]);
      return commands.includes("bad")
        ? Promise.reject(new Error("bad"))
        : Promise.resolve(commands);
    });
    const outcomes = await Promise.allSettled(["a", "bad", "c"].map((one) => queue.submit(one)));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(batches, [["a", "bad", "c"], ["a", "bad", "c"], ["a"], ["bad"], ["c"]]);
  });

  for (const slug of ["SERVICE_UNAVAILABLE", "OUTCOME_UNKNOWN"] as const) {
    it(`tells everybody ${slug} after one try`, async () => {
      let commits = 0;
      const queue = queueOf(() => {
        commits += 1;
        return Promise.reject(new PlatformError(slug));
      });
      const outcomes = await Promise.allSettled(["a", "b"].map((one) => queue.submit(one)));
      for (const outcome of outcomes) {
        assert.ok(outcome.status === "rejected" && isPlatformError(outcome.reason, slug));
      }
      assert.equal(commits, 1);
    });
  }

  it("does not repeat a single command that was refused by the catalogue", async () => {
    let commits = 0;
    const queue = queueOf(() => {
      commits += 1;
      return Promise.reject(new PlatformError("INVENTORY_OUT_OF_STOCK"));
    });
    await assert.rejects(queue.submit("a"), (e) => isPlatformError(e, "INVENTORY_OUT_OF_STOCK"));
    assert.equal(commits, 1);
  });

  it("rejects a refused command and resolves the others of its commit", async () => {
    const queue = queueOf((commands) =>
      Promise.resolve(
        commands.map((one) => (one === "b" ? new Refusal(new PlatformError("NOT_FOUND")) : one)),
      ),
    );
    const [a, b] = await Promise.allSettled(["a", "b"].map((one) => queue.submit(one)));
    assert.equal(a?.status, "fulfilled");
    assert.ok(b?.status === "rejected" && isPlatformError(b.reason, "NOT_FOUND"));
  });

  it("never answers by the wrong outcome when a commit answers too few", async () => {
    const queue = queueOf((commands) => Promise.resolve(commands.slice(1)));
    const outcomes = await Promise.allSettled(["a", "b"].map((one) => queue.submit(one)));
    assert.ok(outcomes.every(({ status }) => status === "rejected"));
  });

  it("refuses with OVERLOADED what finds it full, and only that", async () => {
    const { queue, open } = gatedQueue({ queueLengthMax: 2 });
    const inTime = [queue.submit("a"), queue.submit("b")];
    await assert.rejects(queue.submit("c"), (e) => isPlatformError(e, "OVERLOADED"));
    open();
    assert.deepEqual(await Promise.all(inTime), ["a done", "b done"]);
    assert.equal(await queue.submit("d"), "d done");
  });

  it("commits what waits when it is drained, and refuses what comes later", async () => {
    const { queue, open } = gatedQueue({ batchSizeMax: 1 });
    const waiting = ["a", "b"].map((one) => queue.submit(one));
    const drained = queue.drain();
    await assert.rejects(queue.submit("c"), (e) => isPlatformError(e, "SHUTTING_DOWN"));
    open();
    await drained;
    assert.deepEqual(await Promise.all(waiting), ["a done", "b done"]);
  });
});
