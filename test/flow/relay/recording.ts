import type { Destination } from '../../../src/core/endpoint.ts';
import type { FailureCode } from '../../../src/core/failures.ts';
import type {
  Exchange,
  ExchangeOutcome,
  Header,
  Inspector,
  RequestHead,
  ResponseHead,
} from '../../../src/core/http.ts';
import type { Relay, Upgrade, Wire } from '../../../src/core/relay.ts';
import type { Side } from '../../../src/core/side.ts';
import { allow, type Verdict } from '../../../src/core/verdict.ts';
import { createHttp1Relay, type Http1Options } from '../../../src/flow/relay/http1.ts';
import { createOpaqueRelay } from '../../../src/flow/relay/opaque.ts';

/** A wire that keeps what it is told. */
export class RecordingWire implements Wire {
  readonly #sent: Record<Side, Buffer[]> = { client: [], origin: [] };
  readonly ended: Side[] = [];
  readonly pauses: boolean[] = [];
  readonly retargets: Destination[] = [];
  readonly upgrades: Upgrade[] = [];
  /** How the flow ended: `close`, `close CODE`, `abort CODE` or `upgrade PROTOCOL`. */
  ending: string | undefined;
  detail = '';
  onSend: ((to: Side, bytes: Buffer) => void) | undefined;
  onRetarget: ((destination: Destination) => void) | undefined;
  onUpgrade: (() => void) | undefined;

  send(to: Side, bytes: Buffer): void {
    if (this.ending !== undefined && !this.ending.startsWith('upgrade')) throw new Error('sent after the end');
    if (bytes.length === 0) throw new Error('sent nothing');
    this.#sent[to].push(bytes);
    this.onSend?.(to, bytes);
  }

  end(to: Side): void {
    this.ended.push(to);
  }

  close(code?: FailureCode, detail = ''): void {
    this.#endWith(code === undefined ? 'close' : `close ${code}`, detail);
  }

  abort(code: FailureCode, detail = ''): void {
    this.#endWith(`abort ${code}`, detail);
  }

  upgrade(next: Upgrade): void {
    this.upgrades.push(next);
    this.#endWith(`upgrade ${next.kind === 'opaque' ? next.protocol : next.kind}`, '');
    this.onUpgrade?.();
  }

  isFull: (side: Side) => boolean = () => false;

  pause(_side: Side, paused: boolean): void {
    this.pauses.push(paused);
  }

  retarget(destination: Destination): void {
    this.retargets.push(destination);
    this.onRetarget?.(destination);
  }

  /** Everything sent to a side, as latin1. */
  to(side: Side): string {
    return this.bytesTo(side).toString('latin1');
  }

  bytesTo(side: Side): Buffer {
    return Buffer.concat(this.#sent[side]);
  }

  viewsTo(side: Side): readonly Buffer[] {
    return this.#sent[side];
  }

  #endWith(ending: string, detail: string): void {
    if (this.ending !== undefined) throw new Error(`ended twice: ${this.ending}, then ${ending}`);
    this.ending = ending;
    this.detail = detail;
  }
}

/** What an exchange was told, body chunks joined. */
export interface RecordedExchange {
  readonly events: string[];
  request: RequestHead | undefined;
  response: ResponseHead | undefined;
  requestBody: Buffer;
  responseBody: Buffer;
  requestTrailers: readonly Header[];
  responseTrailers: readonly Header[];
  outcome: ExchangeOutcome | undefined;
}

/** Decides what happens at each step; `allow` where it says nothing. */
export type Judge = (step: string, exchange: RecordedExchange) => Verdict | undefined;

/** An inspector that keeps what it is told, checks the order of calls, and judges as it is asked to. */
export class RecordingInspector implements Inspector {
  readonly exchanges: RecordedExchange[] = [];
  readonly #judge: Judge;

  constructor(judge: Judge = () => undefined) {
    this.#judge = judge;
  }

  exchange(depth: number): Exchange {
    if (depth !== this.exchanges.length) throw new Error('depth out of order');
    const record: RecordedExchange = {
      events: [],
      request: undefined,
      response: undefined,
      requestBody: Buffer.alloc(0),
      responseBody: Buffer.alloc(0),
      requestTrailers: [],
      responseTrailers: [],
      outcome: undefined,
    };
    this.exchanges.push(record);
    const step = (name: string): Verdict => {
      if (record.outcome !== undefined) throw new Error(`${name} after finish`);
      if (record.events.at(-1) !== name || !name.endsWith('Body')) record.events.push(name);
      return this.#judge(name, record) ?? allow;
    };
    return {
      requestHead: (head) => {
        record.request = head;
        return step('requestHead');
      },
      requestBody: (chunk) => {
        if (chunk.length === 0) throw new Error('empty chunk');
        record.requestBody = Buffer.concat([record.requestBody, chunk]);
        return step('requestBody');
      },
      requestEnd: (trailers) => {
        record.requestTrailers = trailers;
        return step('requestEnd');
      },
      responseHead: (head) => {
        record.response = head;
        return step('responseHead');
      },
      responseBody: (chunk) => {
        if (chunk.length === 0) throw new Error('empty chunk');
        record.responseBody = Buffer.concat([record.responseBody, chunk]);
        return step('responseBody');
      },
      responseEnd: (trailers) => {
        record.responseTrailers = trailers;
        return step('responseEnd');
      },
      interim: (head) => step(`interim ${head.status}`),
      changed: (note) => {
        step(`changed: ${note}`);
      },
      upgraded: (protocol) => {
        step(`upgraded ${protocol}`);
      },
      finish: (outcome) => {
        step('finish');
        record.outcome = outcome;
      },
    };
  }
}

export interface Recording {
  readonly relay: Relay;
  readonly wire: RecordingWire;
  readonly inspector: RecordingInspector;
  client(text: string): void;
  origin(text: string): void;
}

let addresses = 0;

/** The address of a client like no other in the test's process: what one may hold is no matter of most tests. */
export function anotherAddress(): string {
  addresses += 1;
  return `192.0.2.${addresses}`;
}

/** A relay between a recording wire and a recording inspector. */
export function record(options: Partial<Http1Options> = {}, judge?: Judge): Recording {
  const wire = new RecordingWire();
  const inspector = new RecordingInspector(judge);
  const relay = createHttp1Relay({
    wire,
    inspector,
    mode: 'origin-form',
    scheme: 'https',
    upgrades: 'allow',
    flowId: 'flow-1',
    shareKey: anotherAddress(),
    ...options,
  });
  let current: Relay = relay;
  // As the pump does it: what comes after an upgrade goes to another relay.
  wire.onUpgrade = () => {
    current = createOpaqueRelay({ wire });
  };
  const front: Relay = {
    ...bound(relay),
    receive: (from, bytes) => current.receive(from, bytes),
    end: (from, clean) => current.end(from, clean),
  };
  return {
    relay: front,
    wire,
    inspector,
    client: (text) => front.receive('client', Buffer.from(text, 'latin1')),
    origin: (text) => front.receive('origin', Buffer.from(text, 'latin1')),
  };
}

function bound(relay: Relay): Relay {
  return {
    receive: (from, bytes) => relay.receive(from, bytes),
    end: (from, clean) => relay.end(from, clean),
    originFailed: (code, detail) => relay.originFailed?.(code, detail),
    cut: (code, detail) => relay.cut(code, detail),
    timedOut: () => relay.timedOut?.(),
    drained: (side) => relay.drained?.(side),
    tick: (nowMs) => relay.tick?.(nowMs),
    drain: () => relay.drain?.(),
    tellsEnd: relay.tellsEnd,
    idle: () => relay.idle?.() ?? false,
  };
}

/** The status of the last response in what was sent to a client; 0 without one. */
export function lastStatus(sent: string): number {
  return Number(
    sent
      .match(/HTTP\/1\.1 \d{3}/g)
      ?.at(-1)
      ?.slice(9) ?? 0,
  );
}
