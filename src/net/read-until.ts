import type { Socket } from 'node:net';
import { type FailureCode, FlowFailure } from '../core/failures.ts';

export interface ReadLimits {
  readonly deadlineMs: number;
  readonly maximumBytes: number;
  readonly onDeadline: FailureCode;
  readonly onTooLarge: FailureCode;
}

/** What a reader says of the bytes so far: `undefined` asks for more; `consumed` counts from the first byte. */
export type ReadDecision<Value> = { readonly value: Value; readonly consumed: number } | undefined;

/**
 * Reads from a socket until `decide` has its value, over any segmentation, and puts back what was not consumed, so that
 * a TLS socket or a relay reads on as if nothing had been taken. Rejects with FlowFailure on deadline, size, end or reset.
 */
export function readUntil<Value>(
  socket: Socket,
  limits: ReadLimits,
  decide: (bytes: Buffer) => ReadDecision<Value>,
): Promise<Value> {
  if (isOver(socket)) return Promise.reject(new FlowFailure('CLIENT_GONE', 'before its first message'));
  return new Promise((resolve, reject) => {
    let store: Buffer = Buffer.alloc(0);
    let length = 0;
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onGone).off('close', onGone).off('error', onGone);
      socket.pause();
    };
    const fail = (failure: FlowFailure): void => {
      settle();
      reject(failure);
    };
    const onData = (chunk: Buffer): void => {
      store = length === 0 ? chunk : appended(store, length, chunk);
      length += chunk.length;
      const bytes = store.subarray(0, length);
      let decision: ReadDecision<Value>;
      try {
        decision = decide(bytes);
      } catch (error) {
        return fail(error instanceof FlowFailure ? error : new FlowFailure('GATEWAY_INTERNAL', String(error)));
      }
      if (decision !== undefined) {
        settle();
        if (decision.consumed < bytes.length) socket.unshift(bytes.subarray(decision.consumed));
        resolve(decision.value);
      } else if (bytes.length > limits.maximumBytes) fail(new FlowFailure(limits.onTooLarge));
    };
    const onGone = (): void => fail(new FlowFailure('CLIENT_GONE', 'before its first message was complete'));
    const timer = setTimeout(() => fail(new FlowFailure(limits.onDeadline)), limits.deadlineMs);
    socket.on('data', onData).on('end', onGone).on('close', onGone).on('error', onGone);
    socket.resume();
  });
}

/** Grows by doubling, so that a peer that sends single bytes costs linear time. */
function appended(store: Buffer, length: number, chunk: Buffer): Buffer {
  let room = store;
  if (length + chunk.length > store.length) {
    room = Buffer.allocUnsafe(Math.max(256, 2 * (length + chunk.length)));
    store.copy(room, 0, 0, length);
  }
  chunk.copy(room, length);
  return room;
}

/**
 * Waits until one of two sockets has bytes to read, or has ended; consumes nothing. An origin that ends without a byte
 * is `gone`. Rejects with FlowFailure CLIENT_IDLE_TIMEOUT.
 */
export function firstToSpeak(client: Socket, origin: Socket, timeoutMs: number): Promise<'client' | 'origin' | 'gone'> {
  if (isOver(client)) return Promise.resolve('client');
  if (isOver(origin)) return Promise.resolve('gone');
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      client.off('readable', onClient).off('end', onClient).off('close', onClient);
      origin.off('readable', onOrigin).off('end', onOrigin).off('close', onOrigin);
    };
    const onClient = (): void => {
      settle();
      resolve('client');
    };
    const onOrigin = (): void => {
      settle();
      resolve(origin.readableLength > 0 ? 'origin' : 'gone');
    };
    const timer = setTimeout(() => {
      settle();
      reject(new FlowFailure('CLIENT_IDLE_TIMEOUT', 'neither side spoke'));
    }, timeoutMs);
    // With bytes already buffered `readable` comes in the next turn, but for an end that came before there is only `end`.
    client.on('readable', onClient).on('end', onClient).on('close', onClient);
    origin.on('readable', onOrigin).on('end', onOrigin).on('close', onOrigin);
  });
}

/** Waits until a socket has bytes to read or has ended, and consumes nothing; false when it stays silent that long. */
export function hasSpoken(socket: Socket, timeoutMs: number): Promise<boolean> {
  if (isOver(socket)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const settle = (spoke: boolean): void => {
      clearTimeout(timer);
      socket.off('readable', onSpoken).off('end', onSpoken).off('close', onSpoken);
      resolve(spoke);
    };
    const onSpoken = (): void => settle(true);
    const timer = setTimeout(() => settle(false), timeoutMs);
    socket.on('readable', onSpoken).on('end', onSpoken).on('close', onSpoken);
  });
}

/** Nothing more comes of a socket, and no event tells it again. */
function isOver(socket: Socket): boolean {
  return socket.destroyed || socket.readableEnded;
}
