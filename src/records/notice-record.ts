import { type LogName, logMetadata, recordMetadata, type Stamp, type Writer } from './metadata.ts';
import { otherActivity, severities, statuses, typeUid } from './ocsf.ts';

/** The line of something about the gateway itself that an auditor must find (OCSF Base Event: no class is about it). */
export function noticeRecordLine(writer: Writer, log: LogName, message: string, uid: string, stamp: Stamp): string {
  return JSON.stringify({
    time: stamp.loggedMs,
    class_uid: 0,
    category_uid: 0,
    activity_id: otherActivity,
    activity_name: 'Notice',
    type_uid: typeUid(0, otherActivity),
    severity_id: severities.medium,
    status_id: statuses.success,
    message,
    metadata: { ...logMetadata(writer, log, []), ...recordMetadata(uid, stamp) },
    unmapped: { gateway: { notice: true } },
  });
}
