// A flash sale under k6 (https://k6.io): buyers come at a rising rate, each buys once, some click twice.
// It must never count a refusal for a failure: most buyers of a flash sale are refused, and that is right.
//
//   npm run --silent tokens -- --count 20000 > tokens.txt
//   k6 run -e SALE_ID=<id> -e TOKENS=tokens.txt test/load/seckill.k6.js
//
// BASE_URL (http://localhost:8080), RATE requests a second at the peak (500), SECONDS of it (30),
// VUS at most (2000). The shop limits requests per address: start it with TRUSTED_PROXIES=<address of
// the k6 machine>, and each buyer sends an address of his own; without it a single machine meets 429.
import { check } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { SharedArray } from "k6/data";
import { Counter, Rate, Trend } from "k6/metrics";

const BASE_URL = __ENV.BASE_URL || "http://localhost:8080";
const SALE_ID = __ENV.SALE_ID;
const RATE = Number(__ENV.RATE || 500);
const SECONDS = Number(__ENV.SECONDS || 30);
const VUS_MAX = Number(__ENV.VUS || 2000);
const DOUBLE_CLICK_SHARE = 0.15;
const URL = `${BASE_URL}/api/v1/seckill/sales/${SALE_ID}/orders`;

const tokens = new SharedArray("tokens", () =>
  open(__ENV.TOKENS || "tokens.txt")
    .split("\n")
    .filter((line) => line !== ""),
);

const promises = new Counter("sale_promises");
const refused = new Counter("sale_refused");
const waiting = new Counter("sale_waiting");
const decided = new Rate("sale_decided");
const broken = new Rate("sale_broken");
const winnerMs = new Trend("sale_winner_ms", true);
const loserMs = new Trend("sale_loser_ms", true);
const second = new Rate("sale_second_order");

export const options = {
  discardResponseBodies: false,
  scenarios: {
    opening: {
      executor: "ramping-arrival-rate",
      startRate: Math.max(1, Math.floor(RATE / 10)),
      timeUnit: "1s",
      preAllocatedVUs: Math.min(VUS_MAX, RATE),
      maxVUs: VUS_MAX,
      stages: [
        { target: RATE, duration: "5s" },
        { target: RATE, duration: `${SECONDS}s` },
        { target: 0, duration: "2s" },
      ],
    },
  },
  thresholds: {
    // A promise or a refusal that is true, not a ticket, a 429 or a 503.
    sale_decided: ["rate>0.99"],
    // No answer, a 5xx other than 503, or an answer that no buyer should ever see.
    sale_broken: ["rate<0.001"],
    // Nobody holds two orders of one sale.
    sale_second_order: ["rate==0"],
    sale_winner_ms: ["p(95)<500", "p(99)<1000"],
    sale_loser_ms: ["p(95)<250", "p(99)<500"],
    dropped_iterations: ["count<100"],
  },
};

const REFUSALS = [
  "SECKILL_SOLD_OUT",
  "SECKILL_ALREADY_PURCHASED",
  "SECKILL_NOT_STARTED",
  "SECKILL_ENDED",
];

export function setup() {
  if (!SALE_ID) exec.test.abort("SALE_ID is not set.");
  if (tokens.length === 0) exec.test.abort("There are no tokens: npm run --silent tokens.");
}

export default function buyOnce() {
  const visit = exec.scenario.iterationInTest;
  const buyer = visit % tokens.length;
  const first = buy(buyer, `${visit}-a`);
  if (Math.random() >= DOUBLE_CLICK_SHARE) return;
  const again = buy(buyer, `${visit}-b`);
  if (first === undefined || again === undefined) return;
  second.add(first !== again);
}

/** The id of the buyer's order, also when he had it before. */
function buy(buyer, attempt) {
  const response = http.post(URL, null, {
    headers: {
      Authorization: `Bearer ${tokens[buyer]}`,
      "X-Forwarded-For": `10.${(buyer >> 16) & 255}.${(buyer >> 8) & 255}.${buyer & 255}`,
      "X-Request-Id": `k6-${attempt}-${buyer}`.padEnd(8, "0"),
    },
    responseCallback: http.expectedStatuses(202, 409, 429, 503),
  });
  const body = response.status === 0 ? {} : response.json();
  const slug = body.error;
  const promised = (body.data || {}).order_id;
  const orderId = promised || (body.details || {}).order_id;
  const isPromise = response.status === 202 && promised !== undefined;
  const isTicket = response.status === 202 && !isPromise;
  const isRefusal = response.status === 409 && REFUSALS.includes(slug);
  const isBusy = response.status === 429 || response.status === 503;
  if (isPromise) promises.add(1);
  if (isRefusal) refused.add(1);
  if (isTicket) waiting.add(1);
  decided.add(isPromise || isRefusal);
  broken.add(!isPromise && !isRefusal && !isTicket && !isBusy);
  (isPromise ? winnerMs : loserMs).add(response.timings.duration);
  check(response, {
    "is an answer of the sale": () => isPromise || isRefusal || isTicket || isBusy,
  });
  return orderId;
}
