import type { BodyFraming, Header, RequestHead, ResponseHead } from '../core/http.ts';
import type { Match } from '../core/verdict.ts';
import { apartHits, rulesMadeTrue } from './apart-fields.ts';
import type { BodyEvent } from './body-edges.ts';
import { planBody } from './body-plan.ts';
import type { CompiledRule, CompiledRules } from './compile.ts';
import { closed, fails, holds, type Truth, truthOf, unknown } from './condition.ts';
import { Evidence } from './evidence.ts';
import { foundFieldOf, type TransactionContext, type TransactionHeads } from './field.ts';
import type { FoundFields } from './found-fields.ts';
import type { HeadHit } from './head-test.ts';
import { MessageBody } from './message-body.ts';
import { type RedactionPlan, RedactionScan } from './redaction.ts';
import { stages } from './stages.ts';

const none: readonly Match[] = [];
/** The body of a message that has none, where that decides nothing any more. */
const noBody = new MessageBody(planBody([]), () => false);

/**
 * Evaluates the rules on one HTTP exchange as it passes. Every method is synchronous and returns the rules that have just
 * become true, in their order; each rule is reported once. How a body is cut into chunks changes nothing but the call
 * in which a match is returned.
 */
export class TransactionScan {
  readonly #compiled: CompiledRules;
  readonly #heads: TransactionHeads;
  #truths: (Truth | typeof closed)[];
  readonly #evidence = new Evidence();
  /** Made when first asked for: most requests have no body. */
  #request: MessageBody | undefined;
  #response: MessageBody | undefined;
  #open: readonly CompiledRule[];
  /** Rules that were true; made with the first of them. */
  #matched: Set<CompiledRule> | undefined;

  constructor(compiled: CompiledRules, context: TransactionContext) {
    this.#compiled = compiled;
    this.#heads = { context, request: undefined, response: undefined };
    this.#truths = compiled.start.truths.slice();
    this.#open = compiled.start.open;
  }

  /** Whether more of the request body could decide a rule; false stays false. */
  get needsRequestBody(): boolean {
    return this.#requestBody.needed;
  }

  /** Whether more of the response body could decide a rule; false stays false. */
  get needsResponseBody(): boolean {
    return this.#responseBody.needed;
  }

  /** Bytes that expressions and patterns were given: the measure of what a body costs beyond one pass. */
  get windowBytes(): number {
    return this.#requestBody.windowBytes + this.#responseBody.windowBytes;
  }

  requestHead(head: RequestHead): readonly Match[] {
    this.#heads.request = head;
    const { bodyless, start } = this.#compiled;
    if (head.framing.kind === 'none' && bodyless !== undefined && this.#open === start.open) {
      this.#request = noBody;
      this.#truths = bodyless.truths.slice();
      this.#open = bodyless.open;
    } else this.#announce(this.#requestBody, head.framing);
    return this.#decide(stages.context | stages.requestHead | stages.request);
  }

  requestBody(chunk: Buffer): readonly Match[] {
    return this.#apply(this.#requestBody.push(chunk), stages.request);
  }

  requestEnd(): readonly Match[] {
    this.#endFound('request');
    return this.#apply(this.#requestBody.end(), stages.request, this.#compiled.found.leaves.request.length > 0);
  }

  responseHead(head: ResponseHead): readonly Match[] {
    this.#heads.response = head;
    this.#announce(this.#responseBody, head.framing);
    return this.#decide(stages.context | stages.responseHead | stages.response);
  }

  responseBody(chunk: Buffer): readonly Match[] {
    return this.#apply(this.#responseBody.push(chunk), stages.response);
  }

  responseEnd(): readonly Match[] {
    this.#endFound('response');
    return this.#apply(this.#responseBody.end(), stages.response, this.#compiled.found.leaves.response.length > 0);
  }

  /** The message is over, its body included, and these are its trailers, if it has any. */
  trailers(message: 'request' | 'response', trailers: readonly Header[]): readonly Match[] {
    const { trailers: leaves, headers } = this.#compiled.apart[message];
    for (const { leaf, field, read, test } of leaves) {
      if (this.#truths[leaf] === unknown) this.#take(leaf, field, test(read(trailers)));
    }
    const matches = leaves.length === 0 ? none : this.#decide(stages[message]);
    const head = this.#heads[message];
    if (trailers.length === 0 || headers.length === 0 || head === undefined) return matches;
    return [...matches, ...this.#apart(headers, { ...this.#heads, [message]: { ...head, headers: trailers } })];
  }

  /** A response came before the final one. */
  interim(head: ResponseHead): readonly Match[] {
    const { headers } = this.#compiled.apart.response;
    if (head.headers.length === 0 || headers.length === 0) return none;
    return this.#apart(headers, { ...this.#heads, response: head });
  }

  get #requestBody(): MessageBody {
    this.#request ??= new MessageBody(this.#compiled.requestBody, this.#isOpen);
    return this.#request;
  }

  get #responseBody(): MessageBody {
    this.#response ??= new MessageBody(this.#compiled.responseBody, this.#isOpen);
    return this.#response;
  }

  readonly #isOpen = (leaf: number): boolean => this.#truths[leaf] === unknown;

  /** What is looked for in bodies beyond their text. */
  get found(): FoundFields {
    return this.#compiled.found;
  }

  /** Whether a part or a file of a message could still decide a rule. */
  asksFor(message: 'request' | 'response'): boolean {
    return this.#compiled.found.leaves[message].some(({ leaf }) => this.#truths[leaf] === unknown);
  }

  /** A part or file was found in a body, and these are values of one of its fields. */
  values(field: string, values: readonly string[]): readonly Match[] {
    const leaves = this.#compiled.found.byField.get(field);
    if (leaves === undefined) return none;
    for (const { leaf, test, refutes } of leaves) {
      if (this.#truths[leaf] !== unknown) continue;
      const hit = test(values);
      if (hit !== undefined) this.#hold(leaf, field, hit);
      else if (refutes) this.#truths[leaf] = fails;
    }
    return this.#decide(stages.request | stages.response);
  }

  /** All values have turned up of fields that are found: those of a head, when its last line has passed. */
  settle(isSettled: (field: string) => boolean): readonly Match[] {
    this.#endFound('request', isSettled);
    return this.#decide(stages.request);
  }

  /** What is given of a body turns out to be longer or shorter than its head announced. */
  recoded(message: 'request' | 'response'): void {
    (message === 'request' ? this.#requestBody : this.#responseBody).recoded();
  }

  /** Whether any rule may hold or mask a message. */
  mayChange(message: 'request' | 'response'): boolean {
    return this.#compiled.holds || this.#compiled.redaction[message] !== undefined;
  }

  /** How much of a message has to wait because a rule that asks for it is not decided. */
  heldPart(message: 'request' | 'response'): 'none' | 'start' | 'body' {
    if (!this.#compiled.holds) return 'none';
    let held: 'none' | 'start' = 'none';
    for (const { hold, leaves } of this.#open) {
      if (hold === undefined || !leaves.some((leaf) => this.#awaits(leaf, message))) continue;
      if (hold === 'body') return 'body';
      held = 'start';
    }
    return held;
  }

  /** Begins to look for what rules mask in a body; undefined when none of them applies. */
  redaction(message: 'request' | 'response'): RedactionScan | undefined {
    const plan = this.#compiled.redaction[message];
    if (plan === undefined) return undefined;
    const active = new Set(
      this.#open.filter((rule) => rule.match.action === 'redact').flatMap((rule) => this.#masked(rule, plan)),
    );
    return active.size === 0 ? undefined : new RedactionScan(plan, (leaf) => active.has(leaf));
  }

  /** Leaves of a redact rule, when all of it holds but for what is to be found in the body. */
  #masked({ condition, leaves }: CompiledRule, { rules }: RedactionPlan): readonly number[] {
    const own = leaves.filter((leaf) => rules.has(leaf));
    const truth = truthOf(condition, (leaf) => (own.includes(leaf) ? holds : this.#leafTruth(leaf)));
    return truth === holds ? own : [];
  }

  #awaits(leaf: number, message: 'request' | 'response'): boolean {
    if (this.#truths[leaf] !== unknown) return false;
    const { body, field } = this.#compiled.leaves[leaf] ?? {};
    return body === message || (field !== undefined && foundFieldOf(field)?.message === message);
  }

  #announce(body: MessageBody, framing: BodyFraming): void {
    for (const event of body.announce(framing)) this.#note(event);
  }

  /** Lets events count one moment after the other, and decides the rules after each. */
  #apply(events: readonly BodyEvent[], news: number, mustDecide = false): readonly Match[] {
    if (events.length === 0) return mustDecide ? this.#decide(news) : none;
    let matches = none;
    for (const [index, event] of events.entries()) {
      this.#note(event);
      if (events[index + 1]?.readTo === event.readTo) continue;
      const more = this.#decide(news);
      if (more.length > 0) matches = matches.length === 0 ? more : [...matches, ...more];
    }
    return matches;
  }

  /** Reports the rules that fields apart from a head make true. */
  #apart(leaves: readonly number[], heads: TransactionHeads): readonly Match[] {
    const hits = apartHits(this.#compiled, leaves, heads);
    if (hits.size === 0) return none;
    const made = rulesMadeTrue(this.#compiled, hits, this.#matched, this.#leafTruth);
    for (const [leaf, hit] of hits) this.#hold(leaf, this.#compiled.leaves[leaf]?.field ?? '', hit);
    const matches = made.map((rule) => this.#settled(rule));
    for (const leaf of made.flatMap((rule) => rule.leaves)) this.#truths[leaf] = closed;
    this.#open = this.#open.filter((rule) => !made.includes(rule));
    return matches;
  }

  #note(event: BodyEvent): void {
    const { leaf, holds: isTrue } = event;
    if (this.#truths[leaf] !== unknown) return;
    this.#truths[leaf] = isTrue ? holds : fails;
    if (isTrue) this.#evidence.add(leaf, this.#compiled.leaves[leaf]?.field ?? '', event);
  }

  /** Decides what can be decided; only rules that ask for what there is news of can have become so. */
  #decide(news: number): readonly Match[] {
    let matches: Match[] | undefined;
    const open: CompiledRule[] = [];
    let stopped = false;
    for (const rule of this.#open) {
      const truth = stopped ? fails : (rule.asks & news) === 0 ? unknown : truthOf(rule.condition, this.#leafTruth);
      if (truth === unknown) {
        open.push(rule);
        continue;
      }
      if (truth === holds) {
        matches ??= [];
        matches.push(this.#settled(rule));
        // What an allow rule is true of is no business of the rules behind it.
        stopped = rule.match.action === 'allow';
      }
      for (const leaf of rule.leaves) if (this.#truths[leaf] === unknown) this.#truths[leaf] = closed;
    }
    this.#open = open;
    this.#request?.refresh();
    this.#response?.refresh();
    return matches ?? none;
  }

  /** Reads a leaf; one of a head is evaluated when it is first asked for after the head is known. */
  readonly #leafTruth = (leaf: number): Truth => {
    const known = this.#truths[leaf];
    if (known === holds || known === fails) return known;
    const { head, field } = this.#compiled.leaves[leaf] ?? {};
    if (head === undefined || field === undefined || !this.#isKnown(head.reader.origin)) return unknown;
    return this.#take(leaf, field, head.test(head.reader.read(this.#heads)));
  };

  #take(leaf: number, field: string, hit: HeadHit | undefined): Truth {
    if (hit !== undefined) return this.#hold(leaf, field, hit);
    this.#truths[leaf] = fails;
    return fails;
  }

  #hold(leaf: number, field: string, hit: HeadHit): Truth {
    this.#truths[leaf] = holds;
    this.#evidence.add(leaf, field, hit);
    return holds;
  }

  /** The message is over, or the part of it that holds some fields: what was not found in it is not there. */
  #endFound(message: 'request' | 'response', isSettled?: (field: string) => boolean): void {
    for (const { leaf, field, test } of this.#compiled.found.leaves[message]) {
      if (this.#truths[leaf] !== unknown || isSettled?.(field) === false) continue;
      this.#take(leaf, field, test([]));
    }
  }

  #isKnown(origin: 'context' | 'request-head' | 'response-head'): boolean {
    if (origin === 'context') return true;
    return (origin === 'request-head' ? this.#heads.request : this.#heads.response) !== undefined;
  }

  #settled(rule: CompiledRule): Match {
    this.#matched ??= new Set();
    this.#matched.add(rule);
    const field = this.#compiled.leaves[rule.leaves[0] ?? 0]?.field ?? '';
    return { ...rule.match, ...(this.#evidence.of(rule.leaves) ?? { field, offset: 0, excerpt: '' }) };
  }
}
