import { type ContentCoding, type ContentCodings, contentCodings, isCoded } from '../codec/content-coding.ts';
import { ContentDecoder } from '../codec/content-decoder.ts';
import { fileHeadBytes, isText } from '../codec/file-type.ts';
import { GrpcMessageDecoder } from '../codec/grpc-messages.ts';
import {
  isSettledMarkup,
  mayBeOther,
  type TextDeclaration,
  TextReader,
  textDeclaration,
} from '../codec/text-encoding.ts';
import type { BodyFraming, Header } from '../core/http.ts';
import type { FileFacts } from '../core/record.ts';
import { strike } from '../core/simulation.ts';
import type { Match } from '../core/verdict.ts';
import type { TransactionScan } from '../rules/compile.ts';
import { BodyExcerpt } from './body-excerpt.ts';
import { DecoderBudget } from './decoder-budget.ts';
import { mayNameFiles, observeParts, type PartsObserver } from './observe-parts.ts';

/** What is the same for every body of a flow. */
export interface BodyOptions {
  readonly excerptBytes: number;
  readonly decodedBytes: number;
  readonly recordsFiles: boolean;
  readonly shareKey: string;
}

interface MessageHead {
  readonly headers: readonly Header[];
  readonly framing: BodyFraming;
  readonly status?: number;
}

const none: readonly Match[] = [];

/**
 * The body of one message on its way to the rules: its codings undone and its text in UTF-8, while the bytes themselves
 * are forwarded as they came. A body that is neither coded nor in another encoding goes to the rules directly.
 */
export class InspectedBody {
  readonly #message: 'request' | 'response';
  readonly #scan: TransactionScan;
  readonly #options: BodyOptions;
  readonly #excerpt: BodyExcerpt;
  readonly #declared: TextDeclaration;
  readonly #head: MessageHead;
  readonly #target: string | undefined;
  readonly #codings: ContentCodings;
  #text: TextReader | undefined;
  #decoder: ContentDecoder | GrpcMessageDecoder | undefined;
  #budget: DecoderBudget | undefined;
  #isBegun = false;
  #isEnded = false;
  /** What comes goes through a reader: codings are undone, or the text may turn out to be in another encoding. */
  #isRead = false;
  #parts: PartsObserver | undefined;
  #files: readonly FileFacts[] = noFiles;
  #missingBytes = Number.POSITIVE_INFINITY;
  #decodedBytes = 0;
  #matches: readonly Match[] = none;
  #problem: string | undefined;
  #isUnjudged = false;

  /** A file without a name of its own is named by `target`. */
  constructor(
    message: 'request' | 'response',
    scan: TransactionScan,
    options: BodyOptions,
    head: MessageHead,
    target: string | undefined,
  ) {
    this.#message = message;
    this.#scan = scan;
    this.#options = options;
    this.#head = head;
    this.#target = target;
    this.#excerpt = new BodyExcerpt(options.excerptBytes);
    this.#codings = contentCodings(head.headers);
    this.#declared = textDeclaration(head.headers);
    if (head.framing.kind === 'length') this.#missingBytes = head.framing.bytes;
    const { encoding } = this.#declared;
    if (encoding !== undefined) this.#text = new TextReader(encoding);
    if (isCoded(this.#codings) || encoding !== undefined) this.#recode();
  }

  /** Whether rules are given something else than the bytes as they come: they cannot count on the length of the head. */
  get isRecoded(): boolean {
    return isCoded(this.#codings) || this.#text?.isOther === true;
  }

  /** The codings that stand between the bytes and what rules see of them; undefined where something else does too, or nothing. */
  get codings(): readonly ContentCoding[] | undefined {
    const codings = this.#codings;
    return codings.kind === 'coded' && this.#text?.isOther !== true ? codings.codings : undefined;
  }

  push(chunk: Buffer): readonly Match[] {
    if (!this.#isBegun) this.#start(chunk);
    if (!this.#isRead && this.#parts === undefined) {
      this.#excerpt.add(chunk);
      return this.#needed ? this.#toRules(chunk) : none;
    }
    this.#missingBytes -= chunk.length;
    this.#decode(chunk);
    // The end is known before the last byte is forwarded: a rule that needs it can still act.
    if (this.#missingBytes <= 0) this.#finish(true);
    else if (this.#parts?.isWanted === false) this.#parts = undefined;
    return this.#takeMatches();
  }

  end(): readonly Match[] {
    this.#finish(true);
    return this.#takeMatches();
  }

  /** Gives memory back. Must be called when the exchange is over, however it ends. */
  close(): void {
    this.#decoder?.close();
    if (this.#isEnded || this.#parts === undefined || !this.#isBegun) return;
    this.#isEnded = true;
    this.#files = this.#parts.end(false);
  }

  /** Files that the body is, or that are parts of it. Complete when the exchange is over. */
  get files(): readonly FileFacts[] {
    return this.#files;
  }

  /** Why rules did not see what a client makes of this body, in the words of a record. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Whether a rule looked at the body when that became so. */
  get isUnjudged(): boolean {
    return this.#isUnjudged;
  }

  /** Whether it costs too much to decode. */
  get isBomb(): boolean {
    return this.#budget?.isBomb === true;
  }

  get excerpt(): Buffer | undefined {
    return this.#excerpt.bytes();
  }

  /** A part of the body is masked: the record shows it so. */
  maskExcerpt(from: number, to: number): void {
    this.#excerpt.mask(from, to);
  }

  /** Bytes made of the body so far, when the excerpt shows those. */
  get decodedBytes(): number | undefined {
    return this.isRecoded ? this.#decodedBytes : undefined;
  }

  get #needed(): boolean {
    return this.#message === 'request' ? this.#scan.needsRequestBody : this.#scan.needsResponseBody;
  }

  #start(chunk: Buffer): void {
    this.#isBegun = true;
    const codings = this.#codings;
    if (codings.kind === 'unknown') this.#note(codings.label);
    if (isCoded(codings) || !isPlainText(chunk, this.#missingBytes) || this.#isTold) this.#observeParts();
    const { mayBeText, isText, markup, doubt } = this.#declared;
    if (doubt !== undefined) this.#note(doubt);
    if (this.#isRead || !mayBeText) return;
    const isWhole = chunk.length >= this.#missingBytes;
    if (!mayBeOther(chunk, isText === true) && (markup === undefined || isSettledMarkup(chunk, markup, isWhole)))
      return;
    this.#text = new TextReader(undefined, markup);
    this.#recode();
    this.#scan.recoded(this.#message);
  }

  /** Rules ask for parts or files, or the message says that it is one, so that its first bytes do not matter. */
  get #isTold(): boolean {
    const { forms, files } = this.#scan.found.wanted[this.#message];
    return forms || files || mayNameFiles(this.#head.headers);
  }

  #observeParts(): void {
    const { headers, status } = this.#head;
    this.#parts = observeParts(
      this.#message,
      { headers, target: this.#target, isPartial: status === 206 },
      this.#scan.found.wanted[this.#message],
      this.#options.recordsFiles,
      (field, values) => this.#add(this.#scan.values(field, values)),
    );
  }

  #recode(): void {
    this.#isRead = true;
    if (!isCoded(this.#codings)) return;
    const sink = (bytes: Buffer): boolean => this.#plain(bytes);
    this.#budget = new DecoderBudget(this.#options.decodedBytes, this.#options.shareKey);
    if (this.#codings.kind === 'messages') {
      this.#decoder = new GrpcMessageDecoder(this.#codings.coding, this.#budget, sink);
      return;
    }
    if (this.#declared.mayBeText) this.#text ??= new TextReader(undefined, this.#declared.markup);
    this.#decoder = new ContentDecoder(this.#codings.codings, this.#budget, sink);
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

  #finish(isWhole: boolean): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const isWanted = this.#isBegun && this.#isWanted;
    if (this.#isRead && isWanted) this.#finishText();
    this.#decoder?.close();
    if (this.#parts !== undefined && this.#isBegun) {
      const isSeen = isWhole && isWanted && this.#problem === undefined;
      this.#files = this.#parts.end(isSeen);
      if (this.#parts.problem !== undefined) this.#note(this.#parts.problem);
    }
    this.#add(this.#message === 'request' ? this.#scan.requestEnd() : this.#scan.responseEnd());
  }

  #finishText(): void {
    this.#budget?.resume(0);
    this.#decoder?.end();
    this.#noteDecoding();
    const rest = this.#text?.end();
    if (rest !== undefined && rest.length > 0) this.#take(rest);
    if (this.#text?.problem !== undefined) this.#note(this.#text.problem);
  }

  /** Takes bytes without their codings; false when no more are wanted. */
  #plain(bytes: Buffer): boolean {
    if (this.#parts?.isWanted === true) this.#parts.push(bytes);
    const text = this.#text === undefined ? bytes : this.#text.push(bytes);
    if (text.length > 0) this.#take(text);
    return this.#isWanted;
  }

  #take(text: Buffer): void {
    this.#decodedBytes += text.length;
    this.#excerpt.add(text);
    if (this.#needed) this.#add(this.#toRules(text));
  }

  #toRules(text: Buffer): readonly Match[] {
    strike('evaluation');
    return this.#message === 'request' ? this.#scan.requestBody(text) : this.#scan.responseBody(text);
  }

  /** Codings are undone as long as a rule or the record wants to see more. */
  get #isWanted(): boolean {
    return (
      this.#needed ||
      this.#parts?.isWanted === true ||
      !this.#excerpt.isFull ||
      (this.#options.excerptBytes > 0 && this.#decodedBytes <= this.#options.excerptBytes)
    );
  }

  #noteDecoding(): void {
    const codings = this.#codings;
    const problem = this.#decoder?.problem;
    if (problem !== undefined && isCoded(codings)) this.#note(`${codings.label}: ${problem}`);
  }

  #note(problem: string): void {
    // Rules on parts and files may have missed some although they never ask for the bytes themselves.
    this.#isUnjudged ||= this.#needed || this.#scan.asksFor(this.#message);
    this.#problem ??= `${this.#message} ${problem}`;
  }

  #takeMatches(): readonly Match[] {
    const matches = this.#matches;
    this.#matches = none;
    return matches;
  }

  #add(matches: readonly Match[]): void {
    if (matches.length > 0) this.#matches = this.#matches.length === 0 ? matches : [...this.#matches, ...matches];
  }
}

const noFiles: readonly FileFacts[] = [];

/** Whether the first chunk shows that the body is text, which is a file only by name. */
function isPlainText(chunk: Buffer, missingBytes: number): boolean {
  return (chunk.length >= fileHeadBytes || chunk.length >= missingBytes) && isText(chunk.subarray(0, fileHeadBytes));
}
