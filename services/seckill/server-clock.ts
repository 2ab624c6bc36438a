// What a server's clock shows, told from its answers (F. Cristian, Probabilistic Clock Synchronization,
// 1989): an answer was made between its question's sending and its own arrival. Of the clocks that this
// allows for, the slowest is believed, so that a deadline by it comes early rather than late.
export class ServerClock {
  /** The server's wall clock less this process's monotonic one, ms. */
  #aheadMs: number | undefined;

  /**
   * @param shownMs by the server's wall clock, ms since the Unix epoch.
   * @param sentAt monotonic, ms, like `receivedAt`.
   */
  hear(shownMs: number, sentAt: number, receivedAt: number): void {
    const [least, most] = [shownMs - receivedAt, shownMs - sentAt];
    const known = this.#aheadMs;
    // Outside of the two the server's clock was set, or the last answers took longer to come.
    if (known === undefined || known < least || known > most) this.#aheadMs = least;
  }

  /**
   * What it shows at a moment of this process's monotonic clock, ms since the Unix epoch; undefined
   * before the first answer.
   */
  at(monotonicMs: number): number | undefined {
    return this.#aheadMs === undefined ? undefined : this.#aheadMs + monotonicMs;
  }
}
