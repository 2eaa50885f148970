import type { IcapAnswerHead } from './icap-answer-head.ts';

/** What a scanner supports (RFC 3507 section 4.10.2). */
export interface IcapOptions {
  readonly methods: readonly string[];
  /** Bytes that it wants to see before it asks for the rest; undefined: all at once. */
  readonly previewBytes: number | undefined;
  readonly connections: number | undefined;
  readonly ttlSeconds: number | undefined;
}

/** What the answer to OPTIONS says; what it says unreadably counts as not said. */
export function icapOptionsOf({ fields }: IcapAnswerHead): IcapOptions {
  return {
    methods: (fields.get('methods') ?? '').split(',').map((method) => method.trim().toUpperCase()),
    previewBytes: countOf(fields.get('preview')),
    connections: countOf(fields.get('max-connections')),
    ttlSeconds: countOf(fields.get('options-ttl')),
  };
}

/** What a scanner calls that which it found, in printable characters; undefined where it does not say. */
export function threatOf({ fields }: IcapAnswerHead): string | undefined {
  const infection = /Threat=([^;]+)/i.exec(fields.get('x-infection-found') ?? '')?.[1];
  const told =
    infection ?? fields.get('x-virus-id') ?? fields.get('x-violations-found') ?? fields.get('x-response-info');
  const text = told
    ?.replaceAll(/[^ -~]+/g, ' ')
    .trim()
    .slice(0, 100);
  return text === '' ? undefined : text;
}

/** Tells whether a body that comes back is the one that was sent. */
export class SameBody {
  readonly #pieces: readonly Buffer[];
  #piece = 0;
  #at = 0;
  isDifferent = false;

  constructor(pieces: readonly Buffer[]) {
    this.#pieces = pieces;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.isDifferent) {
      const piece = this.#pieces[this.#piece];
      if (piece === undefined) {
        this.isDifferent = true;
        return;
      }
      const length = Math.min(bytes.length - at, piece.length - this.#at);
      this.isDifferent = bytes.compare(piece, this.#at, this.#at + length, at, at + length) !== 0;
      at += length;
      this.#at += length;
      if (this.#at < piece.length) continue;
      this.#piece++;
      this.#at = 0;
    }
  }

  /** Once all has come. */
  get isSame(): boolean {
    return !this.isDifferent && this.#piece === this.#pieces.length;
  }
}

function countOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
