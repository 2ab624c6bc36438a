// A reader of Server-Sent Events as a browser would read them, with a token where one is given.
import { eventually } from "./eventually.ts";

const EVENT_TIMEOUT_MS = 15_000;

export interface StreamEvent {
  /** `message` for the default event. */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export class EventReader {
  readonly events: StreamEvent[] = [];
  readonly #abort = new AbortController();
  #status = 0;
  #isEnded = false;

  /** Resolves when the head of the answer is there, whatever its status. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<EventReader> {
    const reader = new EventReader();
    const answer = await fetch(url, { headers, signal: reader.#abort.signal });
    reader.#status = answer.status;
    void reader.#read(answer).catch(() => undefined);
    return reader;
  }

  get status(): number {
    return this.#status;
  }

  /** Whether the server has ended the stream. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** The first event, past or coming, of this name that fits. */
  when(
    name: string,
    fits: (data: StreamEvent["data"]) => boolean = () => true,
  ): Promise<StreamEvent> {
    return eventually(() => this.events.find((one) => one.name === name && fits(one.data)), {
      timeoutMs: EVENT_TIMEOUT_MS,
      what: `an event ${name} that fits; there were ${JSON.stringify(this.events)}`,
    });
  }

  close(): void {
    this.#abort.abort();
  }

  async #read({ body }: Response): Promise<void> {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
    }
    this.#isEnded = true;
  }

  #take(block: string): void {
    const fields = new Map(
      block.split("\n").map((line): [string, string] => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)];
      }),
    );
    const data = fields.get("data");
    if (data === undefined) return;
    this.events.push({
      name: fields.get("event") ?? "message",
      data: JSON.parse(data) as StreamEvent["data"],
    });
  }
}
