import type { ContentCoding } from '../codec/content-coding.ts';
import { ContentDecoder } from '../codec/content-decoder.ts';
import { codedToLength } from '../codec/fitted-coder.ts';
import { KeptWindow } from '../codec/kept-window.ts';
import { limits } from '../core/limits.ts';
import type { ChangedMessage } from '../core/rule-document.ts';
import type { RuleRef } from '../core/verdict.ts';
import type { RedactionScan } from '../rules/redaction.ts';
import { DecoderBudget } from './decoder-budget.ts';
import { Masking } from './masking.ts';

const asterisk = 0x2a;

/**
 * Masks parts of a coded body, which waits as a whole for it: once a rule has found something, what the body says is masked
 * and coded anew to the length that it had, into the very bytes that wait. So neither head nor framing changes.
 */
export class CodedBodyRedactor {
  readonly #codings: readonly ContentCoding[];
  readonly #masking: Masking;
  readonly #window = new KeptWindow();
  #plain: Buffer = nothing;
  #pieces = 0;
  /** A rule that has found something to mask. */
  #found: RuleRef | undefined;
  /** A rule whose place cannot be masked. */
  late: RuleRef | undefined;
  /** The body does not wait any more: what is found from now on cannot be masked. */
  isGivenUp = false;

  constructor(codings: readonly ContentCoding[], scan: RedactionScan, onMask: (from: number, to: number) => void) {
    this.#codings = codings;
    this.#masking = new Masking(scan, ({ from, to }) => {
      onMask(from, to);
      this.#plain.fill(asterisk, from, to);
      return true;
    });
  }

  /** Asks for something to be masked. False when it is too late for that. */
  demand(rule: RuleRef): boolean {
    if (!this.isGivenUp) this.#found ??= rule;
    return !this.isGivenUp;
  }

  /** Takes bytes as they came. `decodedBytes` were made of the body so far. */
  push(chunk: Buffer, decodedBytes: number): void {
    if (this.isGivenUp) return;
    this.#window.push(chunk);
    this.#pieces += 1;
    const isTooLong = this.#window.end > limits.recodedBytes || decodedBytes > limits.recodedBytes;
    if (isTooLong || this.#pieces > limits.recodedPieces) this.giveUp();
  }

  giveUp(): void {
    this.isGivenUp = true;
    this.late ??= this.#found;
    this.#window.forgetAll();
  }

  /** Ends the body. Where something is to be masked, it may go on when this is done. Never rejects. */
  end(): Promise<void> | undefined {
    if (!this.isGivenUp && this.#found !== undefined) return inTurn(() => this.#recode()).then(() => this.giveUp());
    this.giveUp();
    return undefined;
  }

  notes(message: ChangedMessage): readonly string[] {
    return this.late === undefined ? this.#masking.notes(message) : [];
  }

  /** What has found something stays, and blocks, when this fails. */
  async #recode(): Promise<void> {
    // The exchange may be over meanwhile.
    if (this.isGivenUp) return;
    const original = this.#window.bytes();
    const plain = this.#decoded(original);
    if (plain === undefined) return;
    this.#plain = plain;
    this.#masking.push(plain);
    this.#masking.end();
    this.#plain = nothing;
    const coded = await codedToLength(plain, this.#codings, original);
    if (coded === undefined || this.isGivenUp) return;
    this.#window.set(coded);
    this.#found = undefined;
  }

  /** Undefined when not all of it can be read as its recipient reads it. */
  #decoded(original: Buffer): Buffer | undefined {
    const parts: Buffer[] = [];
    // Given back at once: of nobody's share.
    const budget = new DecoderBudget(limits.recodedBytes, '');
    const decoder = new ContentDecoder(this.#codings, budget, (bytes) => parts.push(Buffer.from(bytes)) > 0);
    budget.resume(original.length);
    decoder.push(original);
    decoder.end();
    return decoder.problem === undefined ? Buffer.concat(parts) : undefined;
  }
}

const nothing: Buffer = Buffer.alloc(0);

/** Two bodies are coded at once: names are looked up by the same threads. */
const turns: Promise<void>[] = [Promise.resolve(), Promise.resolve()];
let turn = 0;

/** Runs something when it is its turn. Never rejects. */
function inTurn(work: () => Promise<void>): Promise<void> {
  turn = (turn + 1) % turns.length;
  const done = (turns[turn] ?? Promise.resolve()).then(work).catch(() => {});
  turns[turn] = done;
  return done;
}
