import type { RequestHead, ResponseHead } from '../core/http.ts';
import type { HoldPolicy } from '../core/policy.ts';
import { type AllowVerdict, allow, type Verdict } from '../core/verdict.ts';
import type { TransactionScan } from '../rules/compile.ts';
import type { InspectedBody } from './inspect-body.ts';
import { MessageHold } from './message-hold.ts';
import { BodyRedactor } from './redact-body.ts';

type Message = 'request' | 'response';

const keepAll: AllowVerdict = { kind: 'allow', keepBytes: Number.POSITIVE_INFINITY };
const noRoom: Verdict = { kind: 'refuse', code: 'GATEWAY_OVERLOADED', detail: 'no room to hold a message for a rule' };

export interface PassageOptions {
  readonly message: Message;
  readonly scan: TransactionScan;
  readonly body: InspectedBody;
  readonly policy: HoldPolicy;
  /** The sender waits for an answer to the head before it sends the body. */
  readonly awaitsContinue: boolean;
}

/** How a message passes by its head; undefined when it passes as it is. Asked for once that head was judged. */
export function passageOf(
  head: RequestHead | ResponseHead,
  options: Omit<PassageOptions, 'awaitsContinue'>,
): MessagePassage | undefined {
  const awaitsContinue =
    options.message === 'request' && head.headers.some(([name]) => name.toLowerCase() === 'expect');
  return MessagePassage.of({ ...options, awaitsContinue });
}

/** How a message passes once its bytes are allowed: held until a rule is decided, or with parts of its body masked. */
export class MessagePassage {
  readonly #options: PassageOptions;
  readonly #hold: MessageHold;
  readonly #redactor: BodyRedactor | undefined;

  /** Undefined when the message passes as it is. Asked for once its head was judged. */
  static of(options: PassageOptions): MessagePassage | undefined {
    const { message, scan, body } = options;
    const redaction = body.isRecoded ? undefined : scan.redaction(message);
    if (redaction === undefined && scan.heldPart(message) === 'none') return undefined;
    const redactor =
      redaction === undefined ? undefined : new BodyRedactor(redaction, (from, to) => body.maskExcerpt(from, to));
    return new MessagePassage(options, redactor);
  }

  constructor(options: PassageOptions, redactor: BodyRedactor | undefined) {
    this.#options = options;
    this.#redactor = redactor;
    this.#hold = new MessageHold(options.policy);
  }

  head(): Verdict {
    return this.#options.awaitsContinue ? allow : this.#pass(0);
  }

  chunk(bytes: Buffer): Verdict {
    // A byte order mark makes the body another text than its bytes: those cannot be masked, so a match blocks.
    if (!this.#options.body.isRecoded) this.#redactor?.push(bytes);
    return this.#pass(bytes.length);
  }

  end(): Verdict {
    this.#redactor?.end();
    this.close();
    return this.#late() ?? allow;
  }

  /** Gives memory back. */
  close(): void {
    this.#hold.release();
  }

  /** What was masked, in the words of the record. */
  get notes(): readonly string[] {
    return this.#redactor?.notes(this.#options.message) ?? [];
  }

  /** Why a part of the message went on before rules that asked to hold it were decided. */
  get notHeld(): string | undefined {
    return this.#hold.hasOverflowed
      ? `${this.#options.message}: more than ${this.#options.policy.bodyBytes} bytes`
      : undefined;
  }

  #pass(bytes: number): Verdict {
    const late = this.#late();
    if (late !== undefined) return late;
    const { message, scan } = this.#options;
    const waits = this.#hold.waits(scan.heldPart(message), bytes);
    if (waits === 'full') return noRoom;
    if (waits) return keepAll;
    const keepBytes = this.#redactor?.keptBytes ?? 0;
    return keepBytes === 0 ? allow : { kind: 'allow', keepBytes };
  }

  #late(): Verdict | undefined {
    const rule = this.#redactor?.late;
    return rule === undefined ? undefined : { kind: 'block', rule };
  }
}
