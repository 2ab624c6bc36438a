// Asks the public address whether it is ready and what it sells.

const ANSWER_TIMEOUT_MS = 2_000;

/** True when the address answers 200; a refused connection or a slow answer is "not yet". */
export async function isAnswering(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false;
  }
}

/** Number of listed products the shop at this address has; 0 when it cannot be told. */
export async function countProducts(url: string): Promise<number> {
  try {
    const answer = await fetch(`${url}/api/v1/products?page_size=1`, {
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    const { data } = (await answer.json()) as { data?: { total?: number } };
    return data?.total ?? 0;
  } catch {
    return 0;
  }
}
