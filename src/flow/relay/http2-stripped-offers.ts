import type { Http2Stream } from './http2-stream.ts';

/** ALTSVC frames of an origin that were left out (RFC 7838 section 4): each is told of in the record of an exchange, once. */
export class StrippedOffers {
  readonly #told = new WeakSet<Http2Stream>();
  /** One was left out that no record tells of yet. */
  isUntold = false;

  /** The exchange of its stream tells of it, or the newest; without any the next one does. */
  note(stream: Http2Stream | undefined): void {
    this.isUntold = stream === undefined;
    if (stream === undefined || this.#told.has(stream)) return;
    this.#told.add(stream);
    stream.inspected.changed?.('response ALTSVC frame removed');
  }
}
