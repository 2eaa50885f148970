import { lookup } from 'node:dns/promises';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import { FairShares } from './fair-shares.ts';
import { FairTurns } from './fair-turns.ts';

/** Gives the IP addresses of a name in the order of preference. Rejects with FlowFailure ORIGIN_NAME_UNRESOLVED. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** The same for one client: names that its servers never answer cost others no more than its share. */
export type ResolveFor = (host: string, client?: string) => Promise<readonly string[]>;

export interface ResolverOptions {
  /** Asks the system; replaced in tests. Rejects when the name does not resolve. */
  readonly ask?: Resolve;
  readonly timeoutMs?: number;
}

/**
 * Makes a resolver that asks the system (hosts file, search domains and all), one question at a time per name, and
 * remembers answers for a few seconds. A question that the system does not answer in time fails, but goes on to fill the
 * cache, since getaddrinfo cannot be cancelled.
 */
export function createResolver(options: ResolverOptions = {}): ResolveFor {
  const { ask = askSystem, timeoutMs = limits.resolveTimeoutMs } = options;
  const known = new Map<string, Answer>();
  /** Questions that the system was asked, by name, and those that wait for their turn, by name and client. */
  const asked = new Map<string, Promise<Answer>>();
  const waiting = new Map<string, Promise<Answer>>();
  const places = new FairShares(limits.resolvePending);
  const turns = new FairTurns(limits.resolveAtOnce);

  const askFor = async (host: string): Promise<Answer> => {
    const answer = await answerOf(ask, host);
    asked.delete(host);
    remember(known, host, answer);
    return answer;
  };
  const inTurn = async (host: string, client: string | undefined, key: string): Promise<Answer> => {
    // Not before it is known to wait, even where it need not.
    const waitedMs = await (turns.take(client) ? 0 : waitOf(turns, client));
    waiting.delete(key);
    // Another client may have come to ask for the same name, and whoever has waited too long has given up.
    let answer = asked.get(host);
    const isAsking = answer === undefined && waitedMs <= timeoutMs;
    if (isAsking) {
      answer = askFor(host);
      asked.set(host, answer);
    }
    if (isAsking) await answer;
    turns.end(client);
    places.give(client);
    return answer ?? tooLate;
  };
  return async (host, client) => {
    const remembered = known.get(host);
    if (remembered !== undefined && remembered.expiresMs > performance.now()) return addressesOf(host, remembered);
    const key = `${host} ${client ?? ''}`;
    let answer = asked.get(host) ?? waiting.get(key);
    if (answer === undefined) {
      if (!places.take(client)) throw new FlowFailure('GATEWAY_OVERLOADED', 'too many names to resolve');
      answer = inTurn(host, client, key);
      waiting.set(key, answer);
    }
    return addressesOf(host, await withinTime(answer, timeoutMs, host));
  };
}

interface Answer {
  /** Empty when the name does not resolve. */
  readonly addresses: readonly string[];
  /** Why not, e.g. `ENOTFOUND`. */
  readonly error: string;
  /** On the clock of performance.now(). */
  readonly expiresMs: number;
}

const tooLate: Answer = { addresses: [], error: 'no answer in time', expiresMs: 0 };

/** Waits for a turn, and tells how long that took. */
function waitOf(turns: FairTurns, client: string | undefined): Promise<number> {
  const sinceMs = performance.now();
  return new Promise((resolve) => {
    turns.wait(client, () => resolve(performance.now() - sinceMs));
  });
}

async function askSystem(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
}

async function answerOf(ask: Resolve, host: string): Promise<Answer> {
  try {
    const addresses = await ask(host);
    if (addresses.length > 0) return { addresses, error: '', expiresMs: performance.now() + limits.resolvedNameMs };
    return { addresses, error: 'no address', expiresMs: performance.now() + limits.unresolvedNameMs };
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    return { addresses: [], error: code ?? message, expiresMs: performance.now() + limits.unresolvedNameMs };
  }
}

/** The oldest answer makes room: with lifetimes of seconds, that is also about the first to expire. */
function remember(known: Map<string, Answer>, host: string, answer: Answer): void {
  known.delete(host);
  known.set(host, answer);
  if (known.size <= limits.resolvedNames) return;
  const [oldest] = known.keys();
  if (oldest !== undefined) known.delete(oldest);
}

function addressesOf(host: string, answer: Answer): readonly string[] {
  if (answer.addresses.length > 0) return answer.addresses;
  throw new FlowFailure('ORIGIN_NAME_UNRESOLVED', `${host}: ${answer.error}`);
}

function withinTime(answer: Promise<Answer>, timeoutMs: number, host: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onTimeout = (): void => reject(new FlowFailure('ORIGIN_NAME_UNRESOLVED', `${host}: no answer in time`));
    const timer = setTimeout(onTimeout, timeoutMs);
    // An answer never rejects: a failed question is an answer too.
    void answer.then((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
