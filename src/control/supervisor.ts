import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { FlowFailure } from '../core/failures.ts';
import type { FromRelay } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { PolicyDocument } from '../core/policy.ts';
import type { Fault } from '../core/simulation.ts';
import { type Issuing, issueFor } from './issue-for-relay.ts';
import type { LearnedBypasses } from './learned-bypasses.ts';
import type { ListeningSockets } from './listening-sockets.ts';
import { type RelayChild, startRelayChild } from './relay-child.ts';
import { RelayCrashes } from './relay-crashes.ts';
import { type Answerers, answerQuestion, isQuestion } from './relay-questions.ts';
import { SharedExpectations } from './shared-expectations.ts';

export interface SupervisorOptions extends Answerers, Issuing {
  readonly policy: PolicyDocument;
  readonly relays: number;
  readonly sockets: ListeningSockets;
  readonly learned: () => LearnedBypasses;
  /** Faults that relays simulate. */
  readonly simulate: readonly Fault[];
}

/** State of one relay process. */
interface Supervised {
  readonly child: RelayChild;
  /** How often relays had been replaced when it was started. */
  readonly generation: number;
  ready: boolean;
  /** Asked to end: its exit is no crash. */
  draining: boolean;
  /** Series that it reports about itself, which go with it. */
  gauges: Readonly<Record<string, number>>;
  /** Of its records; known once it is ready. */
  logSource: string;
}

const ticketKeyLifeMs = 86_400_000;
const readyTimeoutMs = 30_000;
const prepareTimeoutMs = 30_000;
const endedWell = 'exit code 0';

/** Starts relays, restarts those that crash, hands them policy, and ends them in order. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly expectations = new SharedExpectations();
  #policy: PolicyDocument;
  readonly #relays: number;
  readonly #running = new Map<RelayChild, Supervised>();
  readonly #restarts: number[] = [];
  readonly #crashes: RelayCrashes;
  readonly #waiting = new Map<RelayChild, (message: FromRelay) => void>();
  #ticketKeys: Buffer = randomBytes(48);
  #stopping = false;
  #generation = 0;
  /** Settles when no replacement of relays is under way. */
  #replaced: Promise<void> = Promise.resolve();
  readonly #ticketTimer: NodeJS.Timeout;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#policy = options.policy;
    this.#relays = options.relays;
    this.#crashes = new RelayCrashes(options.log, options.metrics);
    this.#ticketTimer = setInterval(() => this.#rotateTicketKeys(), ticketKeyLifeMs);
    this.#ticketTimer.unref();
  }

  get relayCount(): number {
    return [...this.#running.values()].filter(({ ready, draining }) => ready && !draining).length;
  }

  get processes(): readonly RelayChild[] {
    return [...this.#running.keys()];
  }

  /** Starts every relay; resolves when all accept. Rejects when one cannot start. */
  async start(): Promise<void> {
    const slots = Array.from({ length: this.#relays }, (_, slot) => slot);
    await Promise.all(slots.map((slot) => this.#launch(slot)));
  }

  /**
   * All or nothing: every relay compiles the policy before any uses it. When listeners changed,
   * relays are replaced one by one over sockets that stay open.
   */
  async apply(policy: PolicyDocument, replace: boolean): Promise<void> {
    if (replace) {
      const replaced = this.#replaceAll(policy);
      this.#replaced = replaced.catch(() => {});
      return replaced;
    }
    const children = [...this.#running.values()].filter(({ draining }) => !draining).map(({ child }) => child);
    const answers = await Promise.all(children.map((child) => this.#prepare(child, policy)));
    const rejected = answers.find((answer) => answer.kind === 'policy-rejected');
    if (rejected?.kind === 'policy-rejected') throw new FlowFailure('GATEWAY_CONFIG_INVALID', rejected.detail);
    this.#policy = policy;
    for (const { child, draining } of this.#running.values()) {
      if (draining) continue;
      // One that was started again while the others prepared has been given the policy before.
      if (!children.includes(child)) child.send({ kind: 'prepare-policy', policy });
      child.send({ kind: 'use-policy', version: policy.version });
    }
  }

  /** Drains every relay within the time limit, then ends what is left. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#ticketTimer);
    for (const supervised of this.#running.values()) this.#drain(supervised, timeoutMs);
    const deadline = performance.now() + timeoutMs + 5_000;
    while (this.#running.size > 0 && performance.now() < deadline) await pause(50);
    for (const child of this.#running.keys()) child.kill();
  }

  async #replaceAll(policy: PolicyDocument): Promise<void> {
    const old = [...this.#running.values()];
    const before = this.#policy;
    this.#policy = policy;
    const fresh = Array.from({ length: this.#relays }, (_, slot) => slot);
    this.#generation += 1;
    try {
      await Promise.all(fresh.map((slot) => this.#launch(slot)));
    } catch (error) {
      this.#policy = before;
      this.#generation -= 1;
      for (const supervised of this.#running.values()) if (!old.includes(supervised)) this.#drain(supervised, 0);
      throw error;
    }
    const { drainMs, handoverMs } = policy.timeouts;
    for (const supervised of old) {
      const isLate = this.#generation - supervised.generation > limits.relayHandovers;
      this.#drain(supervised, isLate ? drainMs : handoverMs);
    }
    this.#options.sockets.closeRetired();
  }

  #launch(slot: number): Promise<void> {
    const { sockets } = this.#options;
    return new Promise((resolve, reject) => {
      const start = {
        slot,
        writer: this.#freeWriter(),
        policy: this.#policy,
        descriptors: sockets.of(slot),
        ticketKeys: this.#ticketKeys,
        learned: this.#options.learned().inForce(Date.now()),
        simulate: this.#options.simulate,
        expected: this.expectations.open,
      };
      const timer = setTimeout(() => {
        reject(new FlowFailure('GATEWAY_RELAY_CRASHED', 'not ready in time'));
        // It must not become ready beside the one that is started next.
        child.kill();
      }, readyTimeoutMs);
      const child = startRelayChild(
        start,
        (from, message) => {
          if (message.kind === 'ready') {
            clearTimeout(timer);
            resolve();
          }
          this.#received(from, message);
        },
        (from, reason) => {
          clearTimeout(timer);
          reject(new FlowFailure('GATEWAY_RELAY_CRASHED', reason));
          this.#exited(from, reason);
        },
      );
      const generation = this.#generation;
      this.#running.set(child, { child, generation, ready: false, draining: false, gauges: {}, logSource: '' });
    });
  }

  #freeWriter(): number {
    const used = new Set([...this.#running.keys()].map(({ writer }) => writer));
    let writer = 0;
    while (used.has(writer)) writer += 1;
    return writer;
  }

  #received(child: RelayChild, message: FromRelay): void {
    const { metrics, log } = this.#options;
    if (isQuestion(message)) return void answerQuestion(child, message, this.#options, this);
    switch (message.kind) {
      case 'ready': {
        const supervised = this.#running.get(child);
        if (supervised !== undefined) Object.assign(supervised, { ready: true, logSource: message.logSource });
        return this.#crashes.ask(this.#running);
      }
      case 'crash-recorded':
        return this.#crashes.recorded(message.logSource);
      case 'leaf-request':
        return issueFor(child, message, this.#options);
      case 'leaf-rejected':
        this.#options.learned().reject(message.rejection, this.#policy.learnedBypass);
        return;
      case 'metrics':
        metrics.add(message.counters);
        this.#keepGauges(child, message.gauges);
        return;
      case 'problem':
        log.warn(message.message, { code: message.code, relay: child.slot });
        return;
      case 'policy-prepared':
      case 'policy-rejected':
        return this.#waiting.get(child)?.(message);
      case 'drained':
        return;
    }
  }

  #keepGauges(child: RelayChild, gauges: Readonly<Record<string, number>>): void {
    const supervised = this.#running.get(child);
    if (supervised === undefined) return;
    const { metrics } = this.#options;
    metrics.drop(Object.keys(supervised.gauges));
    metrics.set(gauges);
    supervised.gauges = gauges;
  }

  #exited(child: RelayChild, reason: string): void {
    const supervised = this.#running.get(child);
    if (supervised === undefined) return;
    this.#running.delete(child);
    this.expectations.left(child);
    this.#options.metrics.drop(Object.keys(supervised.gauges));
    this.#waiting.get(child)?.({ kind: 'policy-rejected', version: '', detail: `relay ended: ${reason}` });
    // One that never became ready is reported to whoever launched it; starting it again would loop.
    const isToRun = !supervised.draining && !this.#stopping;
    if (supervised.ready && (isToRun || reason !== endedWell)) {
      const openFlows = supervised.gauges[`daylight_flows_open{relay="${child.writer}"}`] ?? 0;
      this.#crashes.note(child.slot, { reason, logSource: supervised.logSource, openFlows }, isToRun);
    }
    this.#crashes.ask(this.#running);
    if (supervised.ready && isToRun) this.#restart(child.slot);
  }

  #restart(slot: number): void {
    const now = performance.now();
    this.#restarts.push(now);
    while ((this.#restarts[0] ?? now) < now - 60_000) this.#restarts.shift();
    const delayMs = this.#restarts.length > limits.relayRestartsPerMinute ? 5_000 : 0;
    setTimeout(async () => {
      await this.#replaced;
      if (this.#stopping || this.#isServed(slot)) return;
      this.#launch(slot).catch((error: unknown) => {
        this.#options.log.error('a relay cannot start', { relay: slot, reason: String(error) });
        if (!this.#stopping) setTimeout(() => this.#restart(slot), 5_000).unref();
      });
    }, delayMs);
  }

  #isServed(slot: number): boolean {
    return [...this.#running.values()].some(({ child, draining }) => child.slot === slot && !draining);
  }

  #prepare(child: RelayChild, policy: PolicyDocument): Promise<FromRelay> {
    return new Promise((resolve) => {
      const settle = (message: FromRelay): void => {
        clearTimeout(timer);
        this.#waiting.delete(child);
        resolve(message);
      };
      const timer = setTimeout(
        () => settle({ kind: 'policy-rejected', version: policy.version, detail: 'a relay did not answer in time' }),
        prepareTimeoutMs,
      );
      this.#waiting.set(child, settle);
      child.send({ kind: 'prepare-policy', policy });
    });
  }

  #drain(supervised: Supervised, timeoutMs: number): void {
    supervised.draining = true;
    supervised.child.send({ kind: 'drain', timeoutMs });
    const { child } = supervised;
    const timer = setTimeout(() => {
      if (this.#running.has(child)) child.kill();
    }, timeoutMs + 5_000);
    timer.unref();
  }

  /** Tells every relay which learned bypasses are in force. */
  shareLearned(): void {
    const learned = this.#options.learned().inForce(Date.now());
    for (const child of this.#running.keys()) child.send({ kind: 'learned-bypasses', learned });
  }

  #rotateTicketKeys(): void {
    this.#ticketKeys = randomBytes(48);
    for (const child of this.#running.keys()) child.send({ kind: 'ticket-keys', ticketKeys: this.#ticketKeys });
  }
}
