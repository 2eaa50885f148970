import type { Severity } from '../core/verdict.ts';

/** Identifiers of OCSF 1.8 (schema.ocsf.io) that records use. */

export const ocsfVersion = '1.8.0';

export const classes = {
  detectionFinding: { category: 2, uid: 2004 },
  networkActivity: { category: 4, uid: 4001 },
  httpActivity: { category: 4, uid: 4002 },
  ftpActivity: { category: 4, uid: 4008 },
  emailActivity: { category: 4, uid: 4009 },
} as const;

/** Activities of HTTP Activity; any other method is 99 and named in `activity_name`. */
export const httpActivities: Readonly<Record<string, number>> = {
  CONNECT: 1,
  DELETE: 2,
  GET: 3,
  HEAD: 4,
  OPTIONS: 5,
  POST: 6,
  PUT: 7,
  TRACE: 8,
  PATCH: 9,
};

export const networkActivities = { close: 2, reset: 3, fail: 4, refuse: 5, traffic: 6 } as const;
export const mailActivities = { scan: 3 } as const;
/** Activities of FTP Activity, by command. */
export const ftpActivities: Readonly<Record<string, number>> = {
  STOR: 1,
  STOU: 1,
  APPE: 1,
  RETR: 2,
  LIST: 6,
  NLST: 6,
  MLSD: 6,
  DELE: 4,
  RMD: 4,
  XRMD: 4,
  RNFR: 5,
  RNTO: 5,
};
export const findingActivities = { create: 1 } as const;
export const otherActivity = 99;

export const statuses = { success: 1, failure: 2 } as const;
/** Of a finding, not of an activity. */
export const findingStatuses = { new: 1 } as const;

export const severities: Readonly<Record<Severity, number>> = { info: 1, low: 2, medium: 3, high: 4, critical: 5 };

export const actions = { allowed: 1, denied: 2, observed: 3, modified: 4 } as const;
export const dispositions = {
  allowed: 1,
  blocked: 2,
  alert: 19,
  corrected: 11,
  reset: 21,
  rejected: 25,
  unauthorized: 26,
  error: 27,
} as const;

export const directions = { inbound: 1, outbound: 2 } as const;
export const endpointTypes = { virtual: 6, other: 99 } as const;
export const hashAlgorithms = { md5: 1, sha256: 3 } as const;
export const ja4Type = 1;
export const ruleAnalytic = 1;
export const affectedResource = 3;
export const tcp = 6;
export const udp = 17;

/** What stands as `hostname`, where OCSF sets no pattern; other names go where any text may stand. */
export const hostnamePattern =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;

/** `type_uid` is made of class and activity. */
export function typeUid(classUid: number, activity: number): number {
  return classUid * 100 + activity;
}
