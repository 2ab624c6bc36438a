// The rate limiter's own rules: it never fails open, and an address that nobody vouches for is not
// believed.
import assert from "node:assert/strict";
import { ERROR_CATALOGUE, errorDetails, isPlatformError } from "../../services/contracts/errors.ts";
import { createClientAddress } from "../../services/gateway/client-address.ts";
import { createLocalGcra } from "../../services/gateway/local-gcra.ts";
import type { RateLimitStore } from "../../services/gateway/rate-limit.store.ts";
import { createRateLimiter, type LimitRule } from "../../services/gateway/rate-limit.ts";

const PEER = "203.0.113.9";
const away: RateLimitStore = { take: () => Promise.resolve(undefined) };

function limiterAt(clock: { nowMs: number }) {
  const refused: string[] = [];
  const limiter = createRateLimiter({
    store: away,
    clock: { now: () => clock.nowMs, monotonic: () => clock.nowMs },
    onRefused: (rule) => refused.push(rule),
  });
  return { limiter, refused };
}

async function allowedOf(count: number, ask: () => Promise<unknown>): Promise<number> {
  let allowed = 0;
  for (let n = 0; n < count; n += 1) {
    try {
      await ask();
      allowed += 1;
    } catch (error) {
      assert.ok(isPlatformError(error, "RATE_LIMITED"));
    }
  }
  return allowed;
}

describe("the rate limiter without its shared state", () => {
  const ip: LimitRule = { name: "ip", perSecond: 10 };

  it("allows the burst, then the rate, and nothing more", async () => {
    const clock = { nowMs: 1_000 };
    const { limiter, refused } = limiterAt(clock);
    const ask = () => limiter.check([{ rule: ip, id: PEER }]);
    assert.equal(await allowedOf(100, ask), 20);
    assert.equal(refused.length, 80);
    clock.nowMs += 1_000;
    assert.equal(await allowedOf(100, ask), 10);
  });

  it("counts an untrusted peer under its own address, whatever it forwards", async () => {
    const { limiter } = limiterAt({ nowMs: 1_000 });
    const addressOf = createClientAddress("10.0.0.0/8");
    let hop = 0;
    const ask = () =>
      limiter.check([{ rule: ip, id: addressOf(PEER, `198.51.100.${String((hop += 1))}`) }]);
    assert.equal(await allowedOf(100, ask), 20);
  });

  it("tells how many are left, when all will be, and when to come back", async () => {
    const { limiter } = limiterAt({ nowMs: 1_000 });
    const ask = () => limiter.check([{ rule: ip, id: PEER }]);
    const first = await ask();
    assert.deepEqual([first?.limit, first?.remaining, first?.resetS], [20, 19, 1]);
    await allowedOf(18, ask);
    const last = await ask();
    assert.deepEqual([last?.remaining, last?.resetS], [0, 2]);
    await assert.rejects(ask(), (error: unknown) => {
      const details = errorDetails(error) as { retry_after_s: number; limit: number };
      return details.limit === 20 && Math.abs(details.retry_after_s - 0.1) < 1e-9;
    });
    assert.equal(ERROR_CATALOGUE.RATE_LIMITED.status, 429);
  });

  it("switches a rule off at 0", async () => {
    const { limiter } = limiterAt({ nowMs: 1_000 });
    const off: LimitRule = { name: "node", perSecond: 0 };
    assert.equal(await limiter.check([{ rule: off, id: "all" }]), undefined);
  });

  it("forgets the oldest keys rather than growing without a bound", () => {
    const local = createLocalGcra({ now: () => 0, monotonic: () => 1_000 });
    const take = (key: string) => local.take({ key, perSecond: 1, burst: 1 });
    assert.equal(take("first").isAllowed, true);
    assert.equal(take("first").isAllowed, false);
    for (let n = 0; n < 100_000; n += 1) take(String(n));
    assert.equal(take("first").isAllowed, true);
  });
});
