// Lines that nodes write to their log files, and that `npm run logs -- --json` makes of them.
export interface LogLine {
  readonly node?: string;
  readonly msg?: string;
  readonly request_id?: string;
  readonly trace_id?: string;
  readonly user_id?: string;
  readonly route?: string;
  readonly status?: number;
}

/** A line of `npm run logs -- --json`. */
export interface Told {
  readonly at: string;
  readonly who: string;
  readonly what: string;
  readonly details: Readonly<Record<string, string | undefined>>;
}
