import { limits } from '../core/limits.ts';
import { BodyReader } from './http1-body.ts';
import { partial } from './http1-bytes.ts';
import { outgrown, SectionBuffer } from './http1-section.ts';
import { type IcapAnswerHead, parseIcapAnswerHead } from './icap-answer-head.ts';

/** Reads one answer of a scanner over any cut of its bytes (RFC 3507), strictly and in bounded memory. */
export class IcapAnswerReader {
  head: IcapAnswerHead | undefined;
  /** What makes the answer unreadable. */
  fault: string | undefined;
  isComplete = false;
  readonly #section = new SectionBuffer(limits.scannerHeadBytes);
  readonly #onBody: (chunk: Buffer) => void;
  readonly #body = new BodyReader();
  #httpHead: Buffer = empty;
  #isBodyBegun = false;

  /** `onBody` is given the encapsulated body as it comes. */
  constructor(onBody: (chunk: Buffer) => void) {
    this.#onBody = onBody;
  }

  /** First line of the encapsulated HTTP head; empty where there is none. */
  get startLine(): string {
    return this.#httpHead.toString('latin1').split('\r\n', 1)[0] ?? '';
  }

  /** Reads on. Returns how many of the bytes belong to the answer. */
  push(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && !this.isComplete && this.fault === undefined) at = this.#step(bytes, at);
    return at;
  }

  #step(bytes: Buffer, at: number): number {
    const { head } = this;
    if (head === undefined) return this.#readHead(bytes, at);
    if (this.#httpHead.length < head.httpHeadBytes) return this.#readHttpHead(head, bytes, at);
    return this.#readBody(bytes, at);
  }

  #readHead(bytes: Buffer, at: number): number {
    const after = this.#section.append(bytes, at, bytes.length);
    if (after === partial) return bytes.length;
    if (after < 0) return this.#fail(after === outgrown ? 'a head beyond the limit' : 'a bare LF', bytes.length);
    const head = parseIcapAnswerHead(this.#section.take());
    if (typeof head === 'string') return this.#fail(head, after);
    if (head.httpHeadBytes > limits.scannerHeadBytes) return this.#fail('an HTTP head beyond the limit', after);
    if (head.status < 200 && (head.status !== 100 || head.httpHead !== undefined || head.hasBody)) {
      return this.#fail('an interim answer other than 100', after);
    }
    this.head = head;
    if (head.httpHeadBytes === 0) this.#beginBody(head);
    return after;
  }

  #readHttpHead(head: IcapAnswerHead, bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + head.httpHeadBytes - this.#httpHead.length);
    this.#httpHead = Buffer.concat([this.#httpHead, bytes.subarray(at, end)]);
    if (this.#httpHead.length === head.httpHeadBytes) this.#beginBody(head);
    return end;
  }

  #beginBody(head: IcapAnswerHead): void {
    if (head.hasBody) this.#body.begin({ kind: 'chunked' });
    this.#isBodyBegun = head.hasBody;
    this.isComplete = !head.hasBody;
  }

  #readBody(bytes: Buffer, at: number): number {
    const body = this.#body;
    const after = body.read(bytes, at, bytes.length);
    if (body.fault !== undefined) return this.#fail(body.detail, after);
    if (body.to > body.from) this.#onBody(bytes.subarray(body.from, body.to));
    this.isComplete = this.#isBodyBegun && body.isComplete;
    return after;
  }

  #fail(fault: string, at: number): number {
    this.fault = fault;
    return at;
  }
}

const empty: Buffer = Buffer.alloc(0);
