// What the group commits of this process have done, by the queue's name: for metrics and the operations
// page. Process-wide like the request context, so that a queue needs no port to be seen.

export interface QueueFigures {
  /** Commands that wait for the next commit. */
  waiting: number;
  /** Commits that succeeded and that failed, since the process started. */
  flushed: number;
  failed: number;
  /** Commands of the commits that succeeded. */
  commands: number;
}

const figuresByName = new Map<string, QueueFigures>();

/** The figures that all queues of this name count in. Names are a bounded set: never an id. */
export function queueFigures(name: string): QueueFigures {
  const known = figuresByName.get(name);
  if (known !== undefined) return known;
  const figures = { waiting: 0, flushed: 0, failed: 0, commands: 0 };
  figuresByName.set(name, figures);
  return figures;
}

export function allQueueFigures(): ReadonlyMap<string, Readonly<QueueFigures>> {
  return figuresByName;
}
