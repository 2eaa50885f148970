import type { Duplex } from 'node:stream';
import type { Destination } from '../core/endpoint.ts';
import { asFailure, type FailureCode } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { Relay, Upgrade, Wire } from '../core/relay.ts';
import { otherSide, type Side } from '../core/side.ts';
import { isCutShort } from '../net/watched-transport.ts';
import { destroyAfterFlush } from './linger.ts';
import { discard, outcomeOf, PumpLeg } from './pump-leg.ts';
import type { PumpOptions, PumpOutcome } from './pump-options.ts';
import { changeLegs, type LegsUpgrade } from './pump-upgrade.ts';
import { coarseNowMs, type Ticking, ticker } from './ticker.ts';

/** Drives one relay over two streams: owns back-pressure, half-close, time limits and the end of the flow. */
export class Pump implements Wire, Ticking {
  readonly #options: PumpOptions;
  readonly #legs: Record<Side, PumpLeg>;
  readonly #outcome = Promise.withResolvers<PumpOutcome>();
  #relay: Relay;
  #receiving = false;
  #closing = false;
  #settled = false;
  #failure: { readonly code: FailureCode; readonly detail: string } | undefined;
  #activityMs = 0;
  /** How the gateway wants it to end. */
  #drains: 'politely' | 'at once' | undefined;
  /** TLS is being put over the legs: nothing is read or sent meanwhile. */
  #isUpgrading = false;
  readonly isFull = (side: Side): boolean => this.#legs[side].isFull;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#legs = { client: new PumpLeg(options.client), origin: new PumpLeg(options.origin) };
    this.#relay = options.relay(this);
  }

  /** Runs until both legs are closed. Never rejects: the outcome holds the failure. */
  run(): Promise<PumpOutcome> {
    ticker.add(this);
    this.#activityMs = coarseNowMs();
    this.#attach('client', this.#options.client);
    if (this.#options.origin !== undefined) this.#attach('origin', this.#options.origin);
    return this.#outcome.promise;
  }

  /** Asks for an end when nothing would be cut, `atOnce` or politely; asked again on each tick. Whether it is on its way. */
  drain(atOnce: boolean): boolean {
    if (this.#drains !== 'at once') this.#drains = atOnce ? 'at once' : 'politely';
    this.tick(coarseNowMs());
    return this.#closing;
  }

  /** Ends the flow now, from outside. */
  cut(code: FailureCode, detail = ''): void {
    if (this.#settled) return;
    try {
      this.#relay.cut(code, detail);
    } catch {
      // What broke the relay may break its last report too; the flow ends all the same.
    }
    this.abort(code, detail);
  }

  tick(nowMs: number): void {
    if (this.#settled || this.#closing || this.#isUpgrading) return;
    const mayTell = this.#drains === 'politely' && nowMs - this.#activityMs < limits.farewellMs;
    if (this.#drains !== undefined && this.#endIfIdle(mayTell)) return;
    const { idleTimeoutMs } = this.#options;
    const halfClosed = this.#legs.client.ended || this.#legs.origin.ended;
    const limitMs = halfClosed ? Math.min(limits.halfCloseTimeoutMs, idleTimeoutMs) : idleTimeoutMs;
    if (nowMs - this.#activityMs > limitMs) return this.#idleLimitReached();
    this.#guard(() => this.#relay.tick?.(nowMs));
  }

  /** A flow that is silent between transactions just ends; within one, somebody failed to go on. */
  #idleLimitReached(): void {
    const { client, origin } = this.#legs;
    if (client.isStalled) return this.cut('CLIENT_IDLE_TIMEOUT', 'the client takes nothing of what is sent to it');
    if (origin.isStalled) return this.cut('ORIGIN_IDLE_TIMEOUT', 'the origin takes nothing of what is sent to it');
    if (this.#relay.tellsSilence !== true && this.#endIfIdle()) return;
    if (this.#relay.timedOut === undefined) this.cut('CLIENT_IDLE_TIMEOUT', 'no byte within the idle limit');
    else this.#guard(() => this.#relay.timedOut?.());
  }

  #endIfIdle(mayTell = false): boolean {
    this.#guard(() => this.#relay.drain?.());
    if (this.#relay.idle?.() && !(mayTell && this.#relay.tellsEnd)) this.close();
    return this.#closing;
  }

  send(to: Side, bytes: Buffer): void {
    const leg = this.#legs[to];
    if (this.#settled || leg.finished || bytes.length === 0) return;
    leg.queue(bytes);
    // Sends of one turn leave in one write: a head and its body in one TLS record and one packet.
    if (!this.#receiving) this.#flush(to);
  }

  end(to: Side): void {
    const leg = this.#legs[to];
    if (leg.finished) return;
    this.#flush(to);
    leg.finish();
    this.#settleWhenFlushed();
  }

  close(code?: FailureCode, detail = ''): void {
    if (this.#closing) return;
    this.#note(code, detail);
    const { client, origin } = this.#legs;
    // The relay has just taken leave of the origin: that is still to reach it.
    const { hasLastWord } = origin;
    this.end('client');
    this.end('origin');
    this.#closing = true;
    // What the client still sends is read and dropped, so that no reset destroys what was sent to it last.
    client.stream?.resume();
    if (code !== undefined && hasLastWord) origin.stream?.resume();
    else if (code !== undefined) origin.stream?.destroy();
    this.#settleWhenFlushed();
  }

  abort(code: FailureCode, detail = ''): void {
    if (this.#settled) return;
    this.#note(code, detail);
    this.#closing = true;
    // No transport is reset under a handshake; its time is bounded, and its end comes back here.
    if (!this.#isUpgrading) this.#endBoth();
  }

  #endBoth(): void {
    this.#flush('client');
    for (const side of ['client', 'origin'] as const) {
      const leg = this.#legs[side];
      leg.shut();
      if (leg.stream?.destroyed === false) this.#options.reset?.(side, leg.stream);
      leg.stream?.destroy();
    }
    this.#settle();
  }

  upgrade(next: Upgrade): void {
    if (next.kind !== 'tls' && next.kind !== 'clear') this.#relay = this.#options.upgradedRelay(this, next);
    else {
      this.#flush('client');
      this.#isUpgrading = true;
      changeLegs(this.#legs, this.#options, next).then((outcome) => this.#upgraded(outcome));
    }
  }

  #upgraded({ client, origin, failure, isUnread }: LegsUpgrade): void {
    this.#isUpgrading = false;
    this.#activityMs = coarseNowMs();
    if (client !== undefined) this.#attach('client', client);
    if (origin !== undefined) this.#attach('origin', origin);
    if (this.#closing) return this.#endBoth();
    if (isUnread) this.#relay = this.#options.upgradedRelay(this, { kind: 'opaque', protocol: 'tls' });
    if (failure === undefined) return this.#guard(() => this.#relay.upgraded?.());
    const { code, detail } = failure;
    // A client whose origin failed still reads plaintext; one that failed at TLS itself can be told nothing any more.
    if (origin === undefined) this.#legs.origin.shut();
    if (origin === undefined && client) return this.#guard(() => this.#relay.upgradeFailed?.(code, detail));
    this.#guard(() => this.#relay.cut(code, detail));
    this.close(code, detail);
  }

  retarget(destination: Destination): void {
    const { dial } = this.#options;
    if (dial === undefined) return this.abort('GATEWAY_INTERNAL', 'retarget without dial');
    this.#legs.origin.detach();
    this.#legs.client.pause('pressure', true);
    dial(destination).then(
      (stream) => this.#originOpened(stream),
      (error: unknown) => this.#originFailed(error),
    );
  }

  pause(side: Side, paused: boolean): void {
    if (!this.#closing) this.#legs[side].pause('relay', paused);
  }

  #originOpened(stream: Duplex): void {
    if (this.#closing) return discard(stream);
    this.#attach('origin', stream);
    this.#flush('origin');
    this.#legs.client.pause('pressure', false);
  }

  #originFailed(error: unknown): void {
    if (this.#closing) return;
    const { code, detail } = asFailure(error);
    this.#legs.client.pause('pressure', false);
    if (this.#relay.originFailed === undefined) return this.abort(code, detail);
    this.#guard(() => this.#relay.originFailed?.(code, detail));
  }

  #attach(side: Side, stream: Duplex): void {
    this.#options.tap?.(side, stream);
    this.#legs[side].open(stream, {
      data: (bytes: Buffer) => this.#received(side, bytes),
      end: () => this.#ended(side, !isCutShort(stream)),
      error: (error: NodeJS.ErrnoException) => this.#failed(side, error),
      close: () => this.#closed(side),
      drain: () => this.#drained(side),
    });
  }

  #drained(side: Side): void {
    // A slow reader is no silent one.
    this.#activityMs = coarseNowMs();
    if (!this.#closing) this.#legs[otherSide(side)].pause('pressure', false);
    if (!this.#closing) this.#guard(() => this.#relay.drained?.(side));
  }

  #received(side: Side, bytes: Buffer): void {
    if (this.#closing) return;
    this.#activityMs = coarseNowMs();
    this.#legs[side].bytes += bytes.length;
    this.#receiving = true;
    // Not through #guard: this is the hot path, and a closure per chunk shows in the profile.
    try {
      this.#relay.receive(side, bytes);
    } catch (error) {
      this.#broke(error);
    }
    this.#receiving = false;
    this.#flush('client');
    this.#flush('origin');
  }

  #ended(side: Side, clean: boolean): void {
    const leg = this.#legs[side];
    if (leg.ended) return;
    leg.ended = true;
    if (!this.#closing) this.#guard(() => this.#relay.end(side, clean));
    this.#settleWhenFlushed();
  }

  #failed(side: Side, error: NodeJS.ErrnoException): void {
    if (this.#closing || this.#legs[side].ended) return;
    const known = this.#options.failureOf?.(side, error);
    if (known !== undefined) this.#note(known.code, known.detail);
    this.#ended(side, false);
  }

  #closed(side: Side): void {
    this.#legs[side].finished = true;
    // A leg that closed without an end was reset or destroyed: the relay learns it as an unclean end.
    this.#ended(side, false);
    const other = this.#legs[otherSide(side)];
    const isCut = side === 'client' && !(other.finished && other.ended);
    if (!this.#closing && isCut) this.cut('CLIENT_GONE');
    else if (!this.#closing && other.finished) this.#settle();
    else this.#settleWhenFlushed();
  }

  /** A flow is over when what was sent is handed to the kernel on both legs; a process may exit only then. */
  #settleWhenFlushed(): void {
    if (this.#settled) return;
    const { client, origin } = this.#legs;
    const bothEnded = client.ended && client.finished && origin.ended && origin.finished;
    if (!this.#closing && !bothEnded) return;
    this.#closing = true;
    if (client.isFlushed && origin.isFlushed) return this.#settle();
    for (const { stream } of [client, origin]) {
      if (stream !== undefined) destroyAfterFlush(stream, () => this.#settleWhenFlushed());
    }
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#closing = true;
    ticker.delete(this);
    this.#outcome.resolve(outcomeOf(this.#failure, this.#legs));
  }

  #note(code: FailureCode | undefined, detail: string): void {
    if (code !== undefined) this.#failure ??= { code, detail };
  }

  #flush(to: Side): void {
    if (this.#legs[to].flush() && !this.#closing) this.#legs[otherSide(to)].pause('pressure', true);
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#broke(error);
    }
  }

  /** An error inside a relay or rule ends this flow, closed, and no other. */
  #broke(error: unknown): void {
    this.#receiving = false;
    const { code, detail } = asFailure(error);
    this.cut(code, detail);
  }
}
