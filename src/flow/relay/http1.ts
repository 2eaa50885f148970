import { type FailureCode, FlowFailure } from '../../core/failures.ts';
import type { Inspector } from '../../core/http.ts';
import type { Relay, Wire } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';
import type { Admission } from './http1-admission.ts';
import { Pipeline, type Switch } from './http1-pipeline.ts';
import { RequestStream } from './http1-requests.ts';
import { ResponseStream } from './http1-responses.ts';

export interface Http1Options extends Admission {
  readonly wire: Wire;
  readonly inspector: Inspector;
  /** Named on the pages of the gateway. */
  readonly flowId: string;
  /** Whose share of the memory it is that messages take which wait. */
  readonly shareKey: string;
  /** Told of each response whose body is ended by the end of the connection. */
  readonly onUntilClose?: () => void;
}

/**
 * Relays HTTP/1.1 between one client and its origin: strict in what it accepts, verbatim in what it forwards, streaming,
 * in constant memory. In `proxy` mode it asks for the origin of each request by `wire.retarget`, the first one included.
 * The wire must not call back into the relay from within one of its own methods.
 */
export function createHttp1Relay(options: Http1Options): Relay {
  const pipeline = new Pipeline(options);
  const requests = new RequestStream(options, pipeline);
  const responses = new ResponseStream(options, pipeline);
  return new Http1Relay(options, pipeline, requests, responses);
}

class Http1Relay implements Relay {
  readonly #options: Http1Options;
  readonly #pipeline: Pipeline;
  readonly #requests: RequestStream;
  readonly #responses: ResponseStream;

  constructor(options: Http1Options, pipeline: Pipeline, requests: RequestStream, responses: ResponseStream) {
    this.#options = options;
    this.#pipeline = pipeline;
    this.#requests = requests;
    this.#responses = responses;
    pipeline.onSettled = (goOn) => this.#goOn(goOn);
  }

  receive(from: Side, bytes: Buffer): void {
    if (this.#pipeline.isOver) return;
    try {
      if (from === 'client') this.#requests.receive(bytes);
      else this.#responses.receive(bytes);
      this.#settle();
    } catch (error) {
      throw this.#broken(error);
    }
  }

  end(from: Side, clean: boolean): void {
    if (this.#pipeline.isOver) return;
    try {
      if (from === 'client') this.#clientEnded(clean);
      else this.#originEnded(clean);
      this.#settle();
    } catch (error) {
      throw this.#broken(error);
    }
  }

  originFailed(code: FailureCode, detail: string): void {
    if (this.#pipeline.isOver) return;
    this.#pipeline.answerFirst({ code, detail });
  }

  cut(code: FailureCode, detail: string): void {
    this.#pipeline.cut(code, detail);
  }

  timedOut(): void {
    this.#pipeline.timedOut();
    this.#settle();
  }

  drained(side: Side): void {
    if (this.#pipeline.waiting.size === 0) return;
    this.#goOn(() => this.#pipeline.advance(side));
  }

  tick(nowMs: number): void {
    if (this.#pipeline.isOver) return;
    for (const waiting of this.#pipeline.waiting) waiting.tick(nowMs);
    this.#requests.tick(nowMs);
    this.#settle();
  }

  readonly tellsEnd = true;

  drain(): void {
    this.#pipeline.isDraining = true;
  }

  idle(): boolean {
    return this.#pipeline.length === 0 && this.#requests.isBetweenRequests;
  }

  /** A verdict that was waited for is there. Nobody calls us then, so a fault is handled here. */
  #goOn(goOn: () => void): void {
    try {
      goOn();
      this.#settle();
      const ended = this.#pipeline.isOver ? undefined : this.#responses.takeEnd();
      if (ended === undefined) return;
      this.#originEnded(ended.clean);
      this.#settle();
    } catch (error) {
      this.#broken(error);
      const isExpected = error instanceof FlowFailure;
      this.#options.wire.abort(isExpected ? error.code : 'GATEWAY_INTERNAL', isExpected ? error.detail : '');
    }
  }

  /** A client that ends in order may still read; one that broke off will not. */
  #clientEnded(clean: boolean): void {
    if (clean || this.#pipeline.length === 0) this.#requests.end();
    else this.#pipeline.abort('CLIENT_GONE', 'the client broke off');
  }

  #originEnded(clean: boolean): void {
    if (this.#responses.end(clean)) return;
    if (this.#options.mode === 'proxy') this.#requests.forgetOrigin();
    else this.#pipeline.close();
  }

  /** What becomes possible after bytes or ends were taken in. */
  #settle(): void {
    if (this.#pipeline.isOver) return;
    const { switchedTo } = this.#pipeline;
    if (switchedTo === undefined) {
      this.#requests.resume();
      this.#pipeline.settle();
    } else this.#switchTo(switchedTo);
  }

  #switchTo({ protocol, webSocket, earlyBytes }: Switch): void {
    const { wire } = this.#options;
    this.#pipeline.completeFirst();
    this.#pipeline.isOver = true;
    const ahead = this.#requests.release();
    if (webSocket === undefined) {
      if (earlyBytes !== undefined) wire.send('client', earlyBytes);
      for (const bytes of ahead) wire.send('origin', bytes);
      wire.upgrade({ kind: 'opaque', protocol });
      if (this.#requests.isEnded) wire.end('origin');
    } else {
      const early: { from: Side; bytes: Buffer }[] = ahead.map((bytes) => ({ from: 'client', bytes }));
      if (earlyBytes !== undefined) early.push({ from: 'origin', bytes: earlyBytes });
      wire.upgrade({ kind: 'websocket', ...webSocket, early, isClientEnded: this.#requests.isEnded });
    }
  }

  /** An inspector that fails, e.g. because an alarm cannot be written, ends the exchanges; the pump ends the flow. */
  #broken(error: unknown): unknown {
    const code = error instanceof FlowFailure ? error.code : 'GATEWAY_INTERNAL';
    this.#pipeline.cut(code, 'the inspection failed');
    return error;
  }
}
