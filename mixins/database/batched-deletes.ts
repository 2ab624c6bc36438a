// Deletes what is old in bounded batches, so that no statement holds many locks and no turn lasts long.

export interface BatchLimits {
  readonly batchSizeMax: number;
  /** Batches of one turn; what is left waits for the next one. */
  readonly batchesMax: number;
}

/**
 * One turn. Harmless when several nodes do it at once.
 * @param purge deletes up to the given number of rows and answers how many. Returns their sum.
 */
export async function deleteInBatches(
  { batchSizeMax, batchesMax }: BatchLimits,
  purge: (batchSize: number) => Promise<number>,
): Promise<number> {
  let deleted = 0;
  for (let batch = 0; batch < batchesMax; batch += 1) {
    const count = await purge(batchSizeMax);
    deleted += count;
    if (count < batchSizeMax) break;
  }
  return deleted;
}
