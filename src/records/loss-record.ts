import { limits } from '../core/limits.ts';
import { cut } from './header-text.ts';
import { type LogName, logMetadata, recordMetadata, type Stamp, type Writer } from './metadata.ts';
import { otherActivity, severities, statuses, typeUid } from './ocsf.ts';
import { maskText } from './redact.ts';
import type { Loss } from './trouble.ts';

/** The line that says how many records are missing before it (OCSF Base Event: no class is about a log itself). */
export function lossRecordLine(writer: Writer, log: LogName, loss: Loss, uid: string, stamp: Stamp): string {
  const reason = cut(maskText(loss.reason), limits.recordDetailBytes);
  return JSON.stringify({
    time: stamp.loggedMs,
    class_uid: 0,
    category_uid: 0,
    activity_id: otherActivity,
    activity_name: 'Records lost',
    type_uid: typeUid(0, otherActivity),
    severity_id: severities.high,
    status_id: statuses.failure,
    status_code: 'GATEWAY_RECORDS_UNWRITABLE',
    status_detail: reason,
    message: `${loss.lines} records of this log could not be written.`,
    count: loss.lines,
    start_time: loss.sinceMs,
    end_time: stamp.loggedMs,
    duration: Math.max(0, stamp.loggedMs - loss.sinceMs),
    metadata: { ...logMetadata(writer, log, []), ...recordMetadata(uid, stamp) },
    unmapped: { gateway: { records_lost: loss.lines, failure: 'GATEWAY_RECORDS_UNWRITABLE' } },
  });
}
