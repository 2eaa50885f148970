import type { RelayCrash } from '../core/ipc.ts';
import { type LogName, logMetadata, recordMetadata, type Stamp, type Writer } from './metadata.ts';
import { otherActivity, severities, statuses, typeUid } from './ocsf.ts';

/** The line that says that a relay ended without writing all that it had to (OCSF Base Event: no class is about it). */
export function crashRecordLine(writer: Writer, log: LogName, crash: RelayCrash, uid: string, stamp: Stamp): string {
  const { reason, logSource, openFlows } = crash;
  return JSON.stringify({
    time: stamp.loggedMs,
    class_uid: 0,
    category_uid: 0,
    activity_id: otherActivity,
    activity_name: 'Relay crashed',
    type_uid: typeUid(0, otherActivity),
    severity_id: severities.high,
    status_id: statuses.failure,
    status_code: 'GATEWAY_RELAY_CRASHED',
    status_detail: reason,
    message: `A relay ended unexpectedly. Flows that were open in it (${openFlows} as of its last report) may have no record of their end, and records of its last moments may be missing.`,
    metadata: { ...logMetadata(writer, log, []), ...recordMetadata(uid, stamp) },
    unmapped: { gateway: { crashed_source: logSource, open_flows: openFlows, failure: 'GATEWAY_RELAY_CRASHED' } },
  });
}
