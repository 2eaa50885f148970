import type { FlowFacts } from '../core/record.ts';
import type { JsonObject } from './json.ts';
import { labelOf } from './label.ts';
import { ocsfVersion } from './ocsf.ts';

/** Who writes: part of every record. */
export interface Writer {
  /** Name of the machine. */
  readonly node: string;
  /** Version of Daylight. */
  readonly version: string;
  /** Relay and start of its process: within it and one log, `metadata.sequence` has no gaps. */
  readonly source: string;
}

export type LogName = 'traffic' | 'alarms';
export type Profile = 'network_proxy' | 'security_control';

/** What is new in every record. */
export interface Stamp {
  /** Number of the record in its log since the process began. */
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly loggedMs: number;
}

/** Members of `metadata` that are the same in all records of one flow and log. */
export function flowMetadata(writer: Writer, flow: FlowFacts, log: LogName, profiles: readonly Profile[]): JsonObject {
  return {
    ...logMetadata(writer, log, profiles),
    labels: [labelOf(flow)],
    correlation_uid: flow.flowId,
  };
}

/** Members of `metadata` that are the same in all records of one log. */
export function logMetadata(writer: Writer, log: LogName, profiles: readonly Profile[]): JsonObject {
  return {
    version: ocsfVersion,
    product: { name: 'Daylight', vendor_name: 'Daylight', version: writer.version },
    profiles,
    log_name: log,
    log_source: writer.source,
  };
}

/** Members of `metadata` of one record. */
export function recordMetadata(uid: string, { sequence, loggedMs }: Stamp): JsonObject {
  return { uid, sequence, logged_time: loggedMs };
}
