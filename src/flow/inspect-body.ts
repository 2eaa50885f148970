import { type ContentCodings, contentCodings } from '../codec/content-coding.ts';
import { ContentDecoder } from '../codec/content-decoder.ts';
import { mayBeMarked, type TextDeclaration, TextReader, textDeclaration } from '../codec/text-encoding.ts';
import type { BodyFraming, Header } from '../core/http.ts';
import type { Side } from '../core/side.ts';
import type { Match } from '../core/verdict.ts';
import type { TransactionScan } from '../rules/compile.ts';
import { BodyExcerpt } from './body-excerpt.ts';
import { DecoderBudget } from './decoder-budget.ts';

/** What is the same for every body of a flow. */
export interface BodyOptions {
  readonly excerptBytes: number;
  readonly decodedBytes: number;
}

interface MessageHead {
  readonly headers: readonly Header[];
  readonly framing: BodyFraming;
}

const none: readonly Match[] = [];

/**
 * The body of one message on its way to the rules: its codings undone and its text in UTF-8, while the bytes themselves
 * are forwarded as they came. A body that is neither coded nor in another encoding goes to the rules directly.
 */
export class InspectedBody {
  readonly #side: Side;
  readonly #scan: TransactionScan;
  readonly #options: BodyOptions;
  readonly #excerpt: BodyExcerpt;
  #framing: BodyFraming = noBody;
  #declared: TextDeclaration = undeclared;
  #codings: ContentCodings = uncoded;
  #text: TextReader | undefined;
  #decoder: ContentDecoder | undefined;
  #budget: DecoderBudget | undefined;
  #isBegun = false;
  #isEnded = false;
  /** Rules cannot count on the length that the head tells. */
  #isRecoded = false;
  #missingBytes = Number.POSITIVE_INFINITY;
  #decodedBytes = 0;
  #matches: readonly Match[] = none;
  #problem: string | undefined;
  #isUnjudged = false;

  constructor(side: Side, scan: TransactionScan, options: BodyOptions) {
    this.#side = side;
    this.#scan = scan;
    this.#options = options;
    this.#excerpt = new BodyExcerpt(options.excerptBytes);
  }

  /** Takes the head; returns it as the rules may take it. */
  begin<Head extends MessageHead>(head: Head): Head {
    this.#framing = head.framing;
    if (head.framing.kind === 'none') return head;
    this.#codings = contentCodings(head.headers);
    this.#declared = textDeclaration(head.headers);
    const { encoding } = this.#declared;
    if (encoding !== undefined) this.#text = new TextReader(encoding);
    if (this.#codings.kind !== 'coded' && encoding === undefined) return head;
    this.#recode();
    return { ...head, framing: unknownLength };
  }

  push(chunk: Buffer): readonly Match[] {
    if (!this.#isBegun) this.#start(chunk);
    if (!this.#isRecoded) {
      this.#excerpt.add(chunk);
      return this.#needed ? this.#toRules(chunk) : none;
    }
    this.#missingBytes -= chunk.length;
    this.#matches = none;
    this.#decode(chunk);
    // The end is known before the last byte is forwarded: a rule that needs it can still act.
    if (this.#missingBytes <= 0) this.#finish();
    return this.#matches;
  }

  end(): readonly Match[] {
    this.#matches = none;
    this.#finish();
    return this.#matches;
  }

  /** Gives memory back. Must be called when the exchange is over, however it ends. */
  close(): void {
    this.#decoder?.close();
  }

  /** Why rules did not see what a client makes of this body, in the words of a record. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Whether a rule looked at the body when that became so. */
  get isUnjudged(): boolean {
    return this.#isUnjudged;
  }

  get excerpt(): Buffer | undefined {
    return this.#excerpt.bytes();
  }

  /** Bytes made of the body so far, when the excerpt shows those. */
  get decodedBytes(): number | undefined {
    return this.#isRecoded ? this.#decodedBytes : undefined;
  }

  get #needed(): boolean {
    return this.#side === 'client' ? this.#scan.needsRequestBody : this.#scan.needsResponseBody;
  }

  #start(chunk: Buffer): void {
    this.#isBegun = true;
    const codings = this.#codings;
    if (codings.kind === 'unknown') this.#note(`content-encoding ${codings.label}`);
    if (this.#isRecoded || !mayBeMarked(chunk[0] ?? 0) || !this.#declared.mayBeText) return;
    this.#text = new TextReader(undefined);
    this.#recode();
    this.#scan.recoded(this.#side === 'client' ? 'request' : 'response');
  }

  #recode(): void {
    this.#isRecoded = true;
    if (this.#framing.kind === 'length') this.#missingBytes = this.#framing.bytes;
    if (this.#codings.kind !== 'coded') return;
    if (this.#declared.mayBeText) this.#text ??= new TextReader(undefined);
    this.#budget = new DecoderBudget(this.#options.decodedBytes);
    this.#decoder = new ContentDecoder(this.#codings.codings, this.#budget, this.#plain);
  }

  #decode(chunk: Buffer): void {
    const decoder = this.#decoder;
    if (decoder === undefined) this.#plain(chunk);
    else if (this.#isWanted) {
      this.#budget?.resume(chunk.length);
      decoder.push(chunk);
      this.#budget?.pause();
      this.#noteDecoding();
    } else decoder.close();
  }

  #finish(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#isRecoded && this.#isWanted && this.#isBegun) {
      this.#budget?.resume(0);
      this.#decoder?.end();
      this.#noteDecoding();
      const rest = this.#text?.end();
      if (rest !== undefined && rest.length > 0) this.#take(rest);
      if (this.#text?.problem !== undefined) this.#note(this.#text.problem);
    }
    this.#decoder?.close();
    this.#add(this.#side === 'client' ? this.#scan.requestEnd() : this.#scan.responseEnd());
  }

  /** Takes bytes without their codings; false when no more are wanted. */
  readonly #plain = (bytes: Buffer): boolean => {
    const text = this.#text === undefined ? bytes : this.#text.push(bytes);
    if (text.length > 0) this.#take(text);
    return this.#isWanted;
  };

  #take(text: Buffer): void {
    this.#decodedBytes += text.length;
    this.#excerpt.add(text);
    if (this.#needed) this.#add(this.#toRules(text));
  }

  #toRules(text: Buffer): readonly Match[] {
    return this.#side === 'client' ? this.#scan.requestBody(text) : this.#scan.responseBody(text);
  }

  /** Codings are undone as long as a rule or the record wants to see more. */
  get #isWanted(): boolean {
    return this.#needed || !this.#excerpt.isFull || this.#decodedBytes <= this.#options.excerptBytes;
  }

  #noteDecoding(): void {
    const codings = this.#codings;
    const problem = this.#decoder?.problem;
    if (problem !== undefined && codings.kind === 'coded') this.#note(`content-encoding ${codings.label}: ${problem}`);
  }

  #note(problem: string): void {
    this.#isUnjudged ||= this.#needed;
    this.#problem ??= `${this.#side === 'client' ? 'request' : 'response'} ${problem}`;
  }

  #add(matches: readonly Match[]): void {
    if (matches.length > 0) this.#matches = this.#matches.length === 0 ? matches : [...this.#matches, ...matches];
  }
}

const noBody: BodyFraming = { kind: 'none' };
const undeclared: TextDeclaration = { encoding: undefined, mayBeText: true };
const uncoded: ContentCodings = { kind: 'none' };
const unknownLength: BodyFraming = { kind: 'until-close' };
