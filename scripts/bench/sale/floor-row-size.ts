// How many orders floor P writes in one statement pair and transaction.
export const ROWS_PER_UNIT = 500;
