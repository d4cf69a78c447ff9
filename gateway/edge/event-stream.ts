/**
 * The event streams of one legacy session. What was sent is kept for a while under ids, so that an agent whose connection
 * broke goes on behind the last event that it got (`Last-Event-ID`). What is kept is bounded, for a session and in all.
 */

/** A connection that takes events. */
export interface EventSink {
  readonly write: (text: string) => void;
  readonly end: () => void;
}

/** Bytes that all sessions of an edge keep together. */
export interface ReplayBudget {
  used: number;
  readonly max: number;
}

/** Bounds of one session. */
const MAX_EVENTS = 256;
const MAX_BYTES = 1024 * 1024;
/** Streams whose last event is sent; older ones are forgotten. */
const MAX_ENDED = 16;
const EVENT_ID = /^([0-9]{1,15})-([0-9]{1,15})$/u;

interface Kept {
  readonly stream: EventStream;
  readonly seq: number;
  readonly text: string;
}

/** One stream: of a request, or the session's standing one. */
export class EventStream {
  readonly handle: number;
  readonly #streams: SessionStreams;
  #seq = 0;
  #sink: EventSink | undefined;
  #isEnded = false;

  constructor(handle: number, streams: SessionStreams) {
    this.handle = handle;
    this.#streams = streams;
  }

  get isAttached(): boolean {
    return this.#sink !== undefined;
  }

  /**
   * Sends from now on to this connection, and no more to the one before.
   *
   * @param after  number of the last event that the agent has; what is kept of the later ones is sent first
   */
  attach(sink: EventSink, after: number | undefined): void {
    this.#sink?.end();
    this.#sink = sink;
    if (after !== undefined) for (const text of this.#streams.keptOf(this, after)) sink.write(text);
    if (this.#isEnded) this.#close();
  }

  /** The connection is gone. */
  detach(sink: EventSink): void {
    if (this.#sink !== sink) return;
    this.#sink = undefined;
    this.#streams.detached();
  }

  /** Id of the newest event. */
  get lastId(): string {
    return `${this.handle}-${this.#seq}`;
  }

  push(message: Uint8Array): void {
    this.#seq += 1;
    const text = formatEvent(message, this.lastId);
    this.#streams.keep({ stream: this, seq: this.#seq, text });
    this.#sink?.write(text);
  }

  /** Nothing follows; an agent that lost its connection may still ask for what it missed. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#close();
    this.#streams.ended(this);
  }

  #close(): void {
    this.#sink?.end();
    this.#sink = undefined;
  }
}

/** All streams of a session. */
export class SessionStreams {
  readonly #budget: ReplayBudget;
  readonly #onDetached: () => void;
  readonly #streams = new Map<number, EventStream>();
  readonly #ended: EventStream[] = [];
  #kept: Kept[] = [];
  #bytes = 0;
  #lastHandle = 0;
  /** For what belongs to no request: the GET stream. */
  readonly standing: EventStream;

  /** @param onDetached  told when the connection of a stream is gone that had not ended */
  constructor(budget: ReplayBudget, onDetached: () => void) {
    this.#budget = budget;
    this.#onDetached = onDetached;
    this.standing = this.open();
  }

  /** True if the agent has a connection for one of them. */
  get isAttached(): boolean {
    for (const stream of this.#streams.values()) if (stream.isAttached) return true;
    return false;
  }

  detached(): void {
    this.#onDetached();
  }

  /** The stream of a request. */
  open(): EventStream {
    this.#lastHandle += 1;
    const stream = new EventStream(this.#lastHandle, this);
    this.#streams.set(stream.handle, stream);
    return stream;
  }

  /** The stream of an event id, and the number of the event in it; undefined if it is none of this session's. */
  find(eventId: string): { readonly stream: EventStream; readonly seq: number } | undefined {
    const [, handle, seq] = EVENT_ID.exec(eventId) ?? [];
    const stream = handle === undefined ? undefined : this.#streams.get(Number(handle));
    return stream === undefined ? undefined : { stream, seq: Number(seq) };
  }

  keep(event: Kept): void {
    this.#kept.push(event);
    this.#count(event.text.length);
    while (this.#isFull()) this.#forget(this.#kept.shift());
  }

  keptOf(stream: EventStream, after: number): readonly string[] {
    return this.#kept.filter((event) => event.stream === stream && event.seq > after).map(({ text }) => text);
  }

  ended(stream: EventStream): void {
    this.#ended.push(stream);
    if (this.#ended.length <= MAX_ENDED) return;
    const old = this.#ended.shift();
    if (old === undefined) return;
    this.#streams.delete(old.handle);
    for (const event of this.#kept.filter((kept) => kept.stream === old)) this.#forget(event);
    this.#kept = this.#kept.filter((kept) => kept.stream !== old);
  }

  /** The session is over. */
  close(): void {
    for (const stream of [...this.#streams.values()]) stream.end();
    this.#streams.clear();
    for (const event of this.#kept) this.#forget(event);
    this.#kept = [];
  }

  #isFull(): boolean {
    const isOver = this.#kept.length > MAX_EVENTS || this.#bytes > MAX_BYTES || this.#budget.used > this.#budget.max;
    return isOver && this.#kept.length > 0;
  }

  #forget(event: Kept | undefined): void {
    if (event !== undefined) this.#count(-event.text.length);
  }

  #count(change: number): void {
    this.#bytes += change;
    this.#budget.used += change;
  }
}

/** One server-sent event; a message with line ends in it becomes several data lines. */
export function formatEvent(message: Uint8Array, id?: string): string {
  const lines = new TextDecoder().decode(message).split(/\r\n|\r|\n/u);
  const named = id === undefined ? "" : `id: ${id}\n`;
  return `event: message\n${named}${lines.map((line) => `data: ${line}\n`).join("")}\n`;
}
