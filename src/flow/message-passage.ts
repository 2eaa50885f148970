import type { Header, RequestHead, ResponseHead } from '../core/http.ts';
import type { HoldPolicy } from '../core/policy.ts';
import { type AllowVerdict, allow, type Match, type Verdict } from '../core/verdict.ts';
import type { TransactionScan } from '../rules/compile.ts';
import type { RedactionScan } from '../rules/redaction.ts';
import type { InspectedBody } from './inspect-body.ts';
import { MessageHold } from './message-hold.ts';
import { BodyRedactor } from './redact-body.ts';
import { CodedBodyRedactor } from './redact-coded-body.ts';
import { shortageRefusal } from './relay/held-memory.ts';

type Message = 'request' | 'response';

const keepAll: AllowVerdict = { kind: 'allow', keepBytes: Number.POSITIVE_INFINITY };

export interface PassageOptions {
  readonly message: Message;
  readonly scan: TransactionScan;
  readonly body: InspectedBody;
  readonly inspection: { readonly http: { readonly hold: HoldPolicy }; readonly flow: { readonly shareKey: string } };
  /** The sender waits for an answer to the head before it sends the body. */
  readonly awaitsContinue: boolean;
  readonly isEndless: boolean;
}

/** How a message passes by its head; undefined when it passes as it is. Asked for once that head was judged. */
export function passageOf(
  head: RequestHead | ResponseHead,
  options: Omit<PassageOptions, 'awaitsContinue' | 'isEndless'>,
): MessagePassage | undefined {
  const awaitsContinue =
    options.message === 'request' && head.headers.some(([name]) => name.toLowerCase() === 'expect');
  return MessagePassage.of({ ...options, awaitsContinue, isEndless: isEndless(head.headers) });
}

/** Whether a body goes on for as long as its connection, so that nothing may wait for its end. */
function isEndless(headers: readonly Header[]): boolean {
  return headers.some(
    ([name, value]) => name.length === 12 && endless.test(value) && name.toLowerCase() === 'content-type',
  );
}

const endless = /^\s*(?:text\/event-stream|application\/grpc|multipart\/x-mixed-replace)/i;

/** How a message passes once its bytes are allowed: held until a rule is decided, or with parts of its body masked. */
export class MessagePassage {
  readonly #options: PassageOptions;
  readonly #hold: MessageHold;
  readonly #redactor: BodyRedactor | undefined;
  readonly #coded: CodedBodyRedactor | undefined;

  /** Undefined when the message passes as it is. Asked for once its head was judged. */
  static of(options: PassageOptions): MessagePassage | undefined {
    const { message, scan, body, isEndless } = options;
    const { codings } = body;
    const redaction = !body.isRecoded || (codings !== undefined && !isEndless) ? scan.redaction(message) : undefined;
    if (redaction === undefined && scan.heldPart(message) === 'none') return undefined;
    return new MessagePassage(options, redaction);
  }

  constructor(options: PassageOptions, redaction: RedactionScan | undefined) {
    const { body, inspection } = options;
    this.#options = options;
    this.#hold = new MessageHold(inspection.http.hold, inspection.flow.shareKey);
    if (redaction === undefined) return;
    const onMask = (from: number, to: number): void => body.maskExcerpt(from, to);
    if (body.codings === undefined) this.#redactor = new BodyRedactor(redaction, onMask);
    else this.#coded = new CodedBodyRedactor(body.codings, redaction, onMask);
  }

  /** Whether what a redact rule has found in a coded body will be masked. */
  masks(match: Match): boolean {
    return this.#options.body.codings !== undefined && this.#coded?.demand(match.rule) === true;
  }

  head(): Verdict {
    return this.#options.awaitsContinue ? allow : this.#pass(0);
  }

  chunk(bytes: Buffer): Verdict {
    // A byte order mark makes the body another text than its bytes: those cannot be masked, so a match blocks.
    const { body } = this.#options;
    if (!body.isRecoded) this.#redactor?.push(bytes);
    this.#coded?.push(bytes, body.decodedBytes ?? 0);
    return this.#pass(bytes.length);
  }

  /** Every verdict is told to `settle`, that on a coded body later. */
  end(settle: (verdict: Verdict) => Verdict): Verdict {
    this.#redactor?.end();
    if (this.#options.body.codings === undefined) this.#coded?.giveUp();
    const masked = this.#coded?.end();
    if (masked === undefined) return settle(this.#ended());
    return { ...keepAll, until: masked.then(() => settle(this.#ended())) };
  }

  /** Gives memory back. */
  close(): void {
    this.#coded?.giveUp();
    this.#hold.release();
  }

  #ended(): Verdict {
    this.close();
    return this.#late() ?? allow;
  }

  /** What was masked, in the words of the record. */
  get notes(): readonly string[] {
    return (this.#redactor ?? this.#coded)?.notes(this.#options.message) ?? [];
  }

  /** Why a part of the message went on before rules that asked to hold it were decided. */
  get notHeld(): string | undefined {
    return this.#hold.hasOverflowed
      ? `${this.#options.message}: more than ${this.#options.inspection.http.hold.bodyBytes} bytes`
      : undefined;
  }

  #pass(bytes: number): Verdict {
    const late = this.#late();
    if (late !== undefined) return late;
    const { message, scan } = this.#options;
    const part = scan.heldPart(message);
    const isRecoded = this.#coded?.isGivenUp === false;
    const waits = this.#hold.waits(isRecoded ? 'body' : part, bytes);
    // What waits to be masked alone can go on: a match blocks then, also one of before, which can be masked no more.
    if (typeof waits === 'string' && part !== 'none') return { kind: 'refuse', ...shortageRefusal(waits) };
    if (waits === true) return keepAll;
    this.#coded?.giveUp();
    const unmasked = this.#late();
    if (unmasked !== undefined) return unmasked;
    const keepBytes = this.#redactor?.keptBytes ?? 0;
    return keepBytes === 0 ? allow : { kind: 'allow', keepBytes };
  }

  #late(): Verdict | undefined {
    const rule = (this.#redactor ?? this.#coded)?.late;
    return rule === undefined ? undefined : { kind: 'block', rule };
  }
}
