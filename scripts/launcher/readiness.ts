// Asks an HTTP address whether it is ready.

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
