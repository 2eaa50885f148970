import type { FromRelay, RelayCrash, ToRelay } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { PolicyDocument } from '../core/policy.ts';
import { simulate, strike } from '../core/simulation.ts';
import { count, takeIncrements } from '../metrics/counters.ts';
import { residentBytes } from '../metrics/resident-bytes.ts';
import { releaseStartMemory } from '../metrics/start-memory.ts';
import { TurnWatch } from '../metrics/turn-watch.ts';
import { openRecorder, type RecorderHandle, type RecordMetrics } from '../records/recorder.ts';
import { DataExpectations } from './data-expectations.ts';
import { createExpectationRequests } from './expectation-sharing.ts';
import { exportNotices } from './export-notices.ts';
import { describeError } from './handle-flow.ts';
import { createIssuerRequests } from './issuer-requests.ts';
import { type KeyLog, openKeyLog } from './key-log.ts';
import { createLeafRequests } from './leaf-requests.ts';
import { LeafStore } from './leaf-store.ts';
import { LearnedBypassTable } from './learned-bypass.ts';
import { type Exports, openExports } from './open-exports.ts';
import { compilePolicy, type PolicySnapshot } from './policy-snapshot.ts';
import { type RelayServer, serveRelay } from './relay-server.ts';
import { createRevocationRequests } from './revocation-requests.ts';

/** Entry point of a relay process: control starts it with the listening sockets as inherited descriptors. */

const metricsEveryMs = 1_000;
/** Time that a relay takes to write its records when it crashes. */
const crashMs = 3_000;

function tell(message: FromRelay): void {
  if (process.connected) process.send?.(message, () => {});
}

const leafRequests = createLeafRequests(tell);
const learned = new LearnedBypassTable((rejection) => tell({ kind: 'leaf-rejected', rejection }));
const issuerRequests = createIssuerRequests(tell);
const revocationRequests = createRevocationRequests(tell);
const expectationRequests = createExpectationRequests(tell);
const expectations = new DataExpectations(expectationRequests);
let server: RelayServer | undefined;
let leafs: LeafStore | undefined;
let recorder: RecorderHandle | undefined;
let exports: Exports | undefined;
let recorded: RecordMetrics = { traffic: 0, alarms: 0, dropped: 0, bytes: 0 };

process.on('message', (message: ToRelay) => {
  switch (message.kind) {
    case 'start':
      return start(message);
    case 'prepare-policy':
      return preparePolicy(message.policy);
    case 'use-policy':
      return usePolicy(message.version);
    case 'ticket-keys':
      return server?.setTicketKeys(message.ticketKeys);
    case 'learned-bypasses':
      return learned.replace(message.learned);
    case 'leaf':
      return leafRequests.resolve(message.id, message.leaf);
    case 'leaf-failed':
      return leafRequests.reject(message.id, message.detail);
    case 'issuers':
      return issuerRequests.resolve(message.id, message.certificates);
    case 'revocation':
      return revocationRequests.resolve(message.id, message.findings);
    case 'note-data':
      return tell({ kind: 'data-noted', id: message.id, isKnown: expectations.note(message.expected) });
    case 'forget-data':
      return expectations.forget(message.token);
    case 'data-expected':
      return expectationRequests.answer(message.id, message.isKnown);
    case 'relay-crashed':
      return void recordCrash(message.crash);
    case 'drain':
      void stop(message.timeoutMs);
  }
});

// Without control there are no leafs, no policy and nobody who restarts: live flows may end, new ones go elsewhere.
process.on('disconnect', () => void stop(server?.drainMs ?? 0));
// Control decides when a relay ends: signals of the terminal reach the whole process group.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
// A rejection that nobody handles comes here too.
process.on('uncaughtException', (error: unknown) => void crash(error));

function start(message: Extract<ToRelay, { kind: 'start' }>): void {
  simulate(message.simulate, (fault) => count(`daylight_simulated_faults_total{fault="${fault}"}`));
  try {
    const policy = compilePolicy(message.policy);
    recorder = openRecorder({
      directory: message.policy.records.directory,
      slot: message.writer,
      policy: message.policy.records,
      onProblem: (problem) =>
        tell({ kind: 'problem', code: 'GATEWAY_RECORDS_UNWRITABLE', message: `records: ${problem}` }),
    });
    learned.replace(message.learned);
    for (const expected of message.expected) expectations.note(expected);
    exports = openExports({ policy: message.policy, slot: message.slot, writer: message.writer, onProblem: warn });
    announce(message.policy, recorder);
    const { source: logSource } = recorder;
    leafs = new LeafStore(leafRequests.request, message.ticketKeys);
    server = serveRelay({
      policy,
      descriptors: message.descriptors,
      leafs,
      recorder,
      learned,
      askRevocation: revocationRequests.ask,
      fetchIssuers: issuerRequests.fetch,
      expectations,
      packets: exports,
      keyLog: keyLogOf(message.policy),
      onProblem: warn,
    });
    server.listening.then(
      () => {
        releaseStartMemory();
        tell({ kind: 'ready', logSource });
      },
      (error: unknown) => fail(error),
    );
    reportMetrics(message.writer);
  } catch (error) {
    fail(error);
  }
}

function warn(problem: string): void {
  tell({ kind: 'problem', code: 'GATEWAY_INTERNAL', message: problem });
}

function keyLogOf({ keyLog }: PolicyDocument): KeyLog | undefined {
  return keyLog.client === undefined && keyLog.origin === undefined ? undefined : openKeyLog(keyLog, warn);
}

/** Plaintext or keys that leave the gateway are told at every start: in the log of control, and where an auditor looks. */
function announce(policy: PolicyDocument, recorder: RecorderHandle): void {
  for (const notice of exportNotices(policy)) {
    tell({ kind: 'problem', code: undefined, message: notice });
    recorder.notice(notice);
  }
}

function fail(error: unknown): void {
  process.stderr.write(`relay cannot start: ${messageOf(error)}\n`);
  process.exit(1);
}

let prepared: PolicySnapshot | undefined;

function preparePolicy(policy: PolicyDocument): void {
  try {
    strike('reload');
    prepared = compilePolicy(policy);
    tell({ kind: 'policy-prepared', version: policy.version });
  } catch (error) {
    tell({ kind: 'policy-rejected', version: policy.version, detail: messageOf(error) });
  }
}

function usePolicy(version: string): void {
  if (prepared?.document.version === version) server?.setPolicy(prepared);
  prepared = undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

let stopping = false;
/** The files of the records are closed. */
let ended = false;

/** Asked again, it ends sooner. */
async function stop(timeoutMs: number): Promise<void> {
  exports?.stopListening();
  const drained = server?.drain(timeoutMs);
  if (stopping) return;
  stopping = true;
  await drained;
  ended = true;
  await exports?.close();
  sendMetrics();
  tell({ kind: 'drained' });
  exitSoon(0);
}

/** Unanswered where the line may not be in the file: control asks another when this relay has ended. */
async function recordCrash(crash: RelayCrash): Promise<void> {
  if (recorder === undefined || ended) return;
  const { dropped } = recorder.metrics;
  recorder.crash(crash);
  const isWritten = (await recorder.flush()) && recorder.metrics.dropped === dropped;
  if (isWritten && !ended) tell({ kind: 'crash-recorded', logSource: crash.logSource });
}

/** Lets the last message leave before the channel closes. */
function exitSoon(code: number): void {
  setTimeout(() => process.exit(code), 20);
}

/** An error that nobody caught may have left anything half done: flows are cut and recorded, and control starts another relay. */
async function crash(error: unknown): Promise<void> {
  tell({
    kind: 'problem',
    code: 'GATEWAY_RELAY_CRASHED',
    message: `this relay ends for a fault of its own: ${describeError(error)}`,
  });
  setTimeout(() => process.exit(1), crashMs);
  await server?.drain(0, 'GATEWAY_RELAY_CRASHED').catch(() => {});
  exitSoon(1);
}

let turns: TurnWatch | undefined;

function reportMetrics(slot: number): void {
  turns = new TurnWatch();
  setInterval(() => sendMetrics(slot), metricsEveryMs).unref();
}

/** The recorder counts from its start; the counters take what is new. */
function countRecords(): void {
  if (recorder === undefined) return;
  const now = { ...recorder.metrics };
  count('daylight_records_total{log="traffic"}', now.traffic - recorded.traffic);
  count('daylight_records_total{log="alarms"}', now.alarms - recorded.alarms);
  count('daylight_records_dropped_total', now.dropped - recorded.dropped);
  recorded = now;
}

/** Counters since the last report; without a slot, that is all. */
function sendMetrics(slot?: number): void {
  countRecords();
  tell({ kind: 'metrics', counters: takeIncrements(), gauges: slot === undefined ? {} : gaugesOf(slot) });
}

function gaugesOf(slot: number): Readonly<Record<string, number>> {
  const { delayMs, cpuMs } = turns?.take() ?? { delayMs: 0, cpuMs: 0 };
  if (delayMs > limits.eventLoopStallMs) count('daylight_relay_event_loop_stalls_total');
  const resident = residentBytes();
  // A millisecond with 20 000 flows: cheap once a second.
  const timers = process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  return {
    [`daylight_relay_event_loop_delay_ms{relay="${slot}"}`]: Math.round(delayMs),
    [`daylight_relay_event_loop_cpu_ms{relay="${slot}"}`]: Math.round(cpuMs),
    ...(resident === undefined ? {} : { [`daylight_resident_bytes{process="relay ${slot}"}`]: resident }),
    [`daylight_flows_open{relay="${slot}"}`]: server?.openFlows ?? 0,
    [`daylight_timers{relay="${slot}"}`]: timers,
    [`daylight_records_stopped{relay="${slot}"}`]: recorder?.isWritable() === false ? 1 : 0,
    [`daylight_leafs_cached{relay="${slot}"}`]: leafs?.size ?? 0,
  };
}
