import { setTimeout as sleep } from 'node:timers/promises';
import { findLogs } from '../records/log-files.ts';
import { readForward } from '../records/log-reader.ts';

/** A record of the gateway, as far as the demo looks at it. */
export interface DemoRecord {
  readonly class_uid?: number;
  readonly status_detail?: string;
  readonly metadata?: { readonly correlation_uid?: string; readonly labels?: readonly string[] };
  readonly http_request?: { readonly http_method?: string; readonly url?: { readonly path?: string } };
  readonly http_response?: { readonly code?: number };
  readonly tls?: { readonly version?: string };
  readonly proxy_tls?: { readonly version?: string };
  readonly dst_endpoint?: { readonly port?: number };
  readonly email?: { readonly subject?: string; readonly files?: readonly RecordedFile[] };
  readonly command?: string;
  readonly name?: string;
  readonly file?: RecordedFile;
  readonly evidences?: readonly { readonly data?: { readonly field?: string; readonly excerpt?: string } }[];
  readonly unmapped?: { readonly gateway?: GatewayPart };
}

export interface RecordedFile {
  readonly name?: string;
  readonly size?: number;
  readonly mime_type?: string;
  readonly hashes?: readonly { readonly value?: string }[];
}

interface GatewayPart {
  readonly verdict?: string;
  readonly rule?: string;
  readonly failure?: string;
  readonly mail?: { readonly from?: string; readonly to?: readonly string[] };
  readonly ftp?: { readonly user?: string; readonly is_protected?: boolean };
}

/** A record with its line in the file. */
export interface FoundRecord {
  readonly line: string;
  readonly record: DemoRecord;
}

export const recordClasses = { flow: 4001, web: 4002, file: 4008, mail: 4009, alarm: 2004 } as const;

const lookEveryMs = 25;

/** Where records are written, and how long one may take. */
export interface RecordSource {
  readonly directory: string;
  readonly patienceMs: number;
}

/** The first record that passes each test, in their order; undefined for those that have not come in time. */
export async function findRecords(
  { directory, patienceMs }: RecordSource,
  tests: readonly ((record: DemoRecord) => boolean)[],
): Promise<readonly (FoundRecord | undefined)[]> {
  for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
    const records = [...readForward(findLogs(directory, ['traffic', 'alarms']), 0)].map(({ text }) => ({
      line: text,
      record: JSON.parse(text) as DemoRecord,
    }));
    const found = tests.map((test) => records.find(({ record }) => test(record)));
    if (found.every((each) => each !== undefined) || waitedMs >= patienceMs) return found;
    await sleep(lookEveryMs);
  }
}
