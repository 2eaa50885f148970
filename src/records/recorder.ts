import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { FlowFailure } from '../core/failures.ts';
import type { RelayCrash } from '../core/ipc.ts';
import type { RecordsPolicy } from '../core/policy.ts';
import type { HttpTransactionFacts, Recorder } from '../core/record.ts';
import { AlarmLog } from './alarm-log.ts';
import { alarmRecordLine } from './alarm-record.ts';
import { crashRecordLine } from './crash-record.ts';
import { flowRecordLine } from './flow-record.ts';
import { type FlowText, flowTextOf } from './flow-text.ts';
import { httpRecordPieces } from './http-record.ts';
import type { LinePiece } from './line-piece.ts';
import { LogFile } from './log-file.ts';
import { lossRecordLine } from './loss-record.ts';
import { mailRecordLine } from './mail-record.ts';
import { messageRecordLine } from './message-record.ts';
import type { LogName, Stamp, Writer } from './metadata.ts';
import { noticeRecordLine } from './notice-record.ts';
import { type LogOptions, type PendingLine, TrafficLog } from './traffic-log.ts';
import { transferRecordLine } from './transfer-record.ts';
import { Trouble } from './trouble.ts';
import { newUlid } from './ulid.ts';

export interface RecorderOptions {
  readonly directory: string;
  /** Part of the file names: no two processes may write with the same. */
  readonly slot: number;
  readonly policy: RecordsPolicy;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Told when records cannot be written, at once and then from time to time, and when they can again. */
  readonly onProblem: (problem: string) => void;
}

/** What was written since the start. */
export interface RecordMetrics {
  readonly traffic: number;
  readonly alarms: number;
  /** Lines that will never be written. */
  readonly dropped: number;
  readonly bytes: number;
}

export interface RecorderHandle extends Recorder {
  /** False when records cannot be written and policy says to stop: then no new flow may begin. */
  isWritable(): boolean;
  /** Writes something about the gateway itself that an auditor must find, into the alarm log. */
  notice(message: string): void;
  /** Writes into the traffic log that another process could not write all of its own. */
  crash(crash: RelayCrash): void;
  /** `metadata.log_source` of all that is written here. */
  readonly source: string;
  /** Resolves when all that was recorded before is in the files, or the disk refused it: whether it is, of the traffic log. */
  flush(): Promise<boolean>;
  /** Writes all that waits and closes the files. */
  close(): Promise<void>;
  readonly metrics: RecordMetrics;
}

/** How often the age of files is looked at that nothing is written to. */
const idleRotationMs = 10_000;

/**
 * Opens the traffic and alarm log of one process. A disk that cannot be written is no error here: it is told, tried
 * again, and what it means for traffic is the policy's.
 */
export function openRecorder(options: RecorderOptions): RecorderHandle {
  const { policy, slot, onProblem, now = Date.now } = options;
  const writer: Writer = {
    node: hostname(),
    version: productVersion(),
    source: `${hostname()}/relay-${slot}/${newUlid(now())}`,
  };
  const stops = policy.onFailure === 'stop';
  let dropped = 0;
  const trafficTrouble = troubleOf('traffic');
  const alarmTrouble = troubleOf('alarms');
  const traffic = new TrafficLog(logOptions('traffic', trafficTrouble));
  const alarms = new AlarmLog({
    ...logOptions('alarms', alarmTrouble),
    durable: policy.alarmDurability === 'sync',
    stops,
  });
  traffic.start();
  alarms.start();
  const rotation = setInterval(() => {
    traffic.idle();
    alarms.idle();
  }, idleRotationMs);
  rotation.unref();
  const isWritable = (): boolean => !stops || (!trafficTrouble.isPresent && !alarmTrouble.isPresent);

  return {
    isWritable,
    flowEnd: (flow, endMs) => addTraffic((stamp) => flowRecordLine(writer, flow, endMs, stamp)),
    httpTransaction(flow, transaction) {
      traffic.addPending(new PendingTransaction(flowTextOf(writer, flow), transaction));
      checkWritable();
    },
    messages: (flow, group) => addTraffic((stamp) => messageRecordLine(writer, flow, group, stamp)),
    mail: (flow, mail) => addTraffic((stamp) => mailRecordLine(writer, flow, mail, stamp)),
    transfer: (flow, transfer) => addTraffic((stamp) => transferRecordLine(writer, flow, transfer, stamp)),
    notice(message) {
      const stamp = alarms.stamp();
      alarms.write(noticeRecordLine(writer, 'alarms', message, newUlid(stamp.loggedMs), stamp));
    },
    crash(crash) {
      traffic.add((stamp) => crashRecordLine(writer, 'traffic', crash, newUlid(stamp.loggedMs), stamp));
    },
    source: writer.source,
    alarm(flow, alarm) {
      const stamp = alarms.stamp();
      alarms.write(alarmRecordLine(writer, flow, alarm, newUlid(stamp.loggedMs), stamp));
    },
    async flush() {
      alarms.flush();
      return traffic.flush();
    },
    async close() {
      clearInterval(rotation);
      const left = alarms.close() + (await traffic.close());
      if (left === 0) return;
      dropped += left;
      onProblem(`the gateway ends and ${left} records could not be written`);
    },
    get metrics() {
      return {
        traffic: traffic.linesWritten,
        alarms: alarms.linesWritten,
        dropped,
        bytes: traffic.bytesWritten + alarms.bytesWritten,
      };
    },
  };

  function addTraffic(make: (stamp: Stamp) => string): void {
    traffic.add(make);
    checkWritable();
  }

  function checkWritable(): void {
    if (!isWritable()) throw new FlowFailure('GATEWAY_RECORDS_UNWRITABLE', 'traffic records cannot be written');
  }

  function troubleOf(log: LogName): Trouble {
    return new Trouble({
      name: `${log}-${slot}.ndjson`,
      consequence: stops
        ? 'flows are refused (records.onFailure: stop)'
        : 'traffic goes on (records.onFailure: continue)',
      now,
      onProblem,
      onLoss: () => {
        dropped += 1;
      },
    });
  }

  function logOptions(log: LogName, trouble: Trouble): LogOptions {
    const { rotateBytes, rotateSeconds, keep } = policy;
    return {
      file: new LogFile({
        directory: options.directory,
        name: `${log}-${slot}`,
        rotateBytes,
        rotateSeconds,
        keep,
        now,
        onProblem,
      }),
      trouble,
      now,
      lossLine: (loss, stamp) => lossRecordLine(writer, log, loss, newUlid(stamp.loggedMs), stamp),
    };
  }
}

/** A transaction as it was when it ended: of its flow, what is in its line stays the same. */
class PendingTransaction implements PendingLine {
  readonly #flow: FlowText;
  readonly #transaction: HttpTransactionFacts;

  constructor(flow: FlowText, transaction: HttpTransactionFacts) {
    this.#flow = flow;
    this.#transaction = transaction;
  }

  make(stamp: Stamp): readonly LinePiece[] {
    return httpRecordPieces(this.#flow, this.#transaction, stamp);
  }
}

function productVersion(): string {
  const description: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return (description as { readonly version: string }).version;
}
