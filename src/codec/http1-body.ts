import type { BodyFraming, Header } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import { cr, hexValues, lf, partial, refused } from './http1-bytes.ts';
import { afterExtensionByte, type ExtensionState } from './http1-chunk-extension.ts';
import type { Http1Fault } from './http1-fault.ts';
import { FieldScan, knownFields } from './http1-fields.ts';
import { bareLineFeed, outgrown, SectionBuffer } from './http1-section.ts';

type State =
  | 'length'
  | 'until-close'
  | 'size'
  | 'extension'
  | 'size-end'
  | 'chunk'
  | 'chunk-cr'
  | 'chunk-lf'
  | 'trailers'
  | 'done';

/**
 * Follows the framing of one message body over any cut of its bytes (RFC 9112 sections 6.2 and 7.1), without copies: each
 * `read` goes up to the end of one run of body bytes and says where that run lies. One reader serves all messages of a
 * side, one after another.
 */
export class BodyReader {
  /** The run of body bytes that the last `read` found: `from` to `to` of the bytes read; empty when equal. */
  from = 0;
  to = 0;
  /** Set with the last byte of the message. */
  isComplete = true;
  trailers: readonly Header[] = noTrailers;
  /** Where in the bytes read a part begins that was taken in (an incomplete trailer section); -1 for none. */
  heldFrom = -1;
  /** The whole trailer section, when it came in parts: to be forwarded in place of them. */
  section: Buffer | undefined;
  /** Where in the bytes read a trailer section begins that came in one part and holds trailers. */
  trailersFrom = 0;
  fault: Http1Fault | undefined;
  detail = '';
  #state: State = 'done';
  #remaining = 0;
  #sizeDigits = 0;
  #lineBytes = 0;
  #extension: ExtensionState = 'name-start';
  #trailerBuffer: SectionBuffer | undefined;

  /** Begins a body. One of length zero is complete at once. */
  begin(framing: BodyFraming): void {
    this.#clearStep();
    this.trailers = noTrailers;
    this.isComplete = false;
    this.fault = undefined;
    switch (framing.kind) {
      case 'none':
        this.#complete();
        return;
      case 'length':
        this.#state = 'length';
        this.#remaining = framing.bytes;
        if (framing.bytes === 0) this.#complete();
        return;
      case 'chunked':
        this.#beginSize();
        return;
      case 'until-close':
        this.#state = 'until-close';
    }
  }

  /** Whether only the end of the stream ends the body. */
  get isUntilClose(): boolean {
    return this.#state === 'until-close';
  }

  /** Reads on. Returns the position up to which the bytes were taken; on a fault, where it lies. */
  read(bytes: Buffer, start: number, end: number): number {
    this.#clearStep();
    switch (this.#state) {
      case 'until-close':
        return this.#run(start, end);
      case 'length': {
        const at = this.#run(start, Math.min(end, start + this.#remaining));
        this.#remaining -= at - start;
        if (this.#remaining === 0) this.#complete();
        return at;
      }
      case 'done':
        return start;
      default:
        return this.#readChunked(bytes, start, end);
    }
  }

  #readChunked(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      if (this.#state === 'chunk') return this.#readChunk(at, end);
      if (this.#state === 'trailers') return this.#readTrailers(bytes, at, end);
      if (!this.#acceptFramingByte(bytes[at] as number)) return at;
      at++;
    }
    return at;
  }

  #readChunk(start: number, end: number): number {
    const at = this.#run(start, Math.min(end, start + this.#remaining));
    this.#remaining -= at - start;
    if (this.#remaining === 0) this.#state = 'chunk-cr';
    return at;
  }

  #acceptFramingByte(byte: number): boolean {
    switch (this.#state) {
      case 'size':
        return this.#acceptSizeByte(byte);
      case 'extension':
        return this.#acceptExtensionByte(byte);
      case 'size-end':
        if (byte !== lf) return this.#refuse('ambiguous', 'a bare CR in a chunk size line');
        this.#state = this.#remaining === 0 ? 'trailers' : 'chunk';
        return true;
      case 'chunk-cr':
        this.#state = 'chunk-lf';
        return byte === cr || this.#refuse('ambiguous', 'a chunk longer than its size');
      default:
        this.#beginSize();
        return byte === lf || this.#refuse('ambiguous', 'a chunk longer than its size');
    }
  }

  #acceptSizeByte(byte: number): boolean {
    const value = hexValues[byte] as number;
    if (value < 16) {
      // 13 digits stay exact as a number; longer ones wrap around in some recipients.
      if (++this.#sizeDigits > 13) return this.#refuse('ambiguous', 'an overlong chunk size');
      this.#remaining = this.#remaining * 16 + value;
      return true;
    }
    if (this.#sizeDigits === 0) return this.#refuse('malformed', 'a chunk size without digits');
    if (byte === cr) this.#state = 'size-end';
    else if (byte === semicolon) this.#state = 'extension';
    else return this.#refuse('ambiguous', 'a bad chunk size');
    this.#extension = 'name-start';
    this.#lineBytes = this.#sizeDigits + 1;
    return true;
  }

  #acceptExtensionByte(byte: number): boolean {
    const next = afterExtensionByte(this.#extension, byte);
    if (next === undefined) return this.#refuse('ambiguous', 'a bad chunk extension');
    if (next === 'end') this.#state = 'size-end';
    else this.#extension = next;
    return ++this.#lineBytes <= limits.httpChunkLineBytes || this.#refuse('too-large', 'a long chunk extension');
  }

  #readTrailers(bytes: Buffer, start: number, end: number): number {
    const buffer = this.#trailerBuffer;
    if (buffer?.isActive !== true) {
      const after = this.#parseTrailers(bytes, start, end);
      if (after === refused) return start;
      if (after >= 0) return after;
    }
    return this.#collectTrailers(bytes, start, end);
  }

  /** Trailers are held until they are whole: what they say is judged before the message is finished towards the other side. */
  #collectTrailers(bytes: Buffer, start: number, end: number): number {
    this.#trailerBuffer ??= new SectionBuffer(limits.httpTrailerBytes);
    const after = this.#trailerBuffer.append(bytes, start, end);
    if (after === outgrown) return this.#stop(start, 'too-large', 'a trailer section beyond the limit');
    if (after === bareLineFeed) return this.#stop(start, 'ambiguous', 'a bare LF in the trailer section');
    this.heldFrom = start;
    if (after === partial) return end;
    const section = this.#trailerBuffer.take();
    if (this.#parseTrailers(section, 0, section.length) === refused) return start;
    this.section = section;
    return after;
  }

  /** Returns the position after the section, `partial` or `refused`. */
  #parseTrailers(bytes: Buffer, start: number, end: number): number {
    const after = trailerFields.run(bytes, start, end);
    if (after === refused) {
      this.#refuse(trailerFields.fault, `${trailerFields.detail} (trailer)`);
      return refused;
    }
    if ((after === partial ? end : after) - start > limits.httpTrailerBytes) {
      this.#refuse('too-large', 'a trailer section beyond the limit');
      return refused;
    }
    if (after === partial) return partial;
    if (notTrailers.some((field) => trailerFields.has(field))) {
      this.#refuse('ambiguous', 'a trailer that frames or routes the message');
      return refused;
    }
    if (trailerFields.count > 0) this.trailers = trailerFields.headers(bytes.toString('latin1', start, after), start);
    this.trailersFrom = start;
    this.#complete();
    return after;
  }

  #run(from: number, to: number): number {
    this.from = from;
    this.to = to;
    return to;
  }

  #beginSize(): void {
    this.#state = 'size';
    this.#remaining = 0;
    this.#sizeDigits = 0;
  }

  #complete(): void {
    this.#state = 'done';
    this.isComplete = true;
  }

  #clearStep(): void {
    this.from = 0;
    this.to = 0;
    this.heldFrom = -1;
    this.section = undefined;
  }

  #refuse(fault: Http1Fault, detail: string): false {
    this.fault = fault;
    this.detail = detail;
    this.#state = 'done';
    return false;
  }

  #stop(at: number, fault: Http1Fault, detail: string): number {
    this.#refuse(fault, detail);
    return at;
  }
}

const semicolon = 0x3b;
const noTrailers: readonly Header[] = [];
const trailerFields = new FieldScan();

/** Fields that a recipient may merge into the head where they would change how the message is read (RFC 9110 section 6.5.1). */
const notTrailers = [
  knownFields.host,
  knownFields.contentLength,
  knownFields.transferEncoding,
  knownFields.connection,
  knownFields.upgrade,
  knownFields.http2Settings,
  knownFields.proxyConnection,
  knownFields.proxyAuthorization,
  knownFields.expect,
  knownFields.te,
  knownFields.trailer,
];
