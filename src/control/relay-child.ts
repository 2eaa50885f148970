import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ExpectedData, FromRelay, ToRelay } from '../core/ipc.ts';
import type { LearnedBypass } from '../core/learned-bypass.ts';
import type { PolicyDocument } from '../core/policy.ts';
import type { Fault } from '../core/simulation.ts';
import { fewArenas } from './prepare-process.ts';

/** The program of a relay process. */
export const relayEntry = fileURLToPath(new URL('../flow/relay-process.ts', import.meta.url));

/** Names that could weaken TLS or run foreign code in a relay: none of them is handed on. The compile cache is our own. */
const unsafeEnvironment = /^(NODE_(?!COMPILE_CACHE$)|OPENSSL_|SSL_|SSLKEYLOGFILE|LD_PRELOAD|UV_)/;

/** Backtracking bombs in rule files fall back to V8's linear engine; a signal must not open the debugger in a relay. */
export const relayFlags = [
  '--enable-experimental-regexp-engine-on-excessive-backtracks',
  '--disable-sigusr1',
  // There is a relay per core: threads that help one collect garbage take the time of another (4 % less CPU per request).
  '--single-threaded-gc',
  // V8 lets a heap grow fourfold between two full collections; what flows leave in native memory is then freed in one turn.
  '--heap-growing-percent=50',
  '--expose-gc',
  '--v8-pool-size=1',
  '--no-warnings',
];

export interface RelayStart {
  readonly slot: number;
  readonly writer: number;
  readonly policy: PolicyDocument;
  readonly descriptors: ReadonlyMap<string, number>;
  readonly ticketKeys: Uint8Array;
  readonly learned: readonly LearnedBypass[];
  readonly simulate: readonly Fault[];
  readonly expected: readonly ExpectedData[];
}

export interface RelayChild {
  readonly slot: number;
  readonly writer: number;
  readonly pid: number | undefined;
  send(message: ToRelay): void;
  kill(): void;
}

/** Starts a relay process that inherits its listening sockets. `onMessage` and `onExit` live as long as it does. */
export function startRelayChild(
  start: RelayStart,
  onMessage: (child: RelayChild, message: FromRelay) => void,
  onExit: (child: RelayChild, reason: string) => void,
): RelayChild {
  const inherited = [...start.descriptors];
  const process_ = fork(relayEntry, [], {
    execArgv: relayFlags,
    env: safeEnvironment(),
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...inherited.map(([, fd]) => fd)],
  });
  const child = childOf(process_, start);
  process_.on('message', (message: FromRelay) => onMessage(child, message));
  process_.on('exit', (code, signal) => onExit(child, signal ?? `exit code ${code}`));
  process_.on('error', (error) => onExit(child, error.message));
  child.send({
    kind: 'start',
    slot: start.slot,
    writer: start.writer,
    policy: start.policy,
    // Descriptor 3 is the channel to control; the inherited ones follow in order.
    descriptors: Object.fromEntries(inherited.map(([id], index) => [id, 4 + index])),
    ticketKeys: start.ticketKeys,
    learned: start.learned,
    simulate: start.simulate,
    expected: start.expected,
  });
  return child;
}

function childOf(process_: ChildProcess, { slot, writer }: RelayStart): RelayChild {
  return {
    slot,
    writer,
    pid: process_.pid,
    send: (message) => {
      // A relay that is gone cannot be told anything; its exit is handled where it is noticed.
      if (process_.connected) process_.send(message, () => {});
    },
    kill: () => void process_.kill('SIGKILL'),
  };
}

function safeEnvironment(): NodeJS.ProcessEnv {
  const given = process.env.GLIBC_TUNABLES;
  const safe = Object.entries(process.env).filter(([name]) => !unsafeEnvironment.test(name));
  return {
    ...Object.fromEntries(safe),
    // A handshake makes hundreds of small blocks; glibc keeps just 7 of a size at hand (1 % less CPU per session).
    ...(given === undefined || given === fewArenas
      ? { GLIBC_TUNABLES: `${fewArenas}:glibc.malloc.tcache_count=120` }
      : {}),
    // Name lookups get half of libuv's threads: with the usual four, two slow names would hold up all others.
    UV_THREADPOOL_SIZE: '16',
  };
}
