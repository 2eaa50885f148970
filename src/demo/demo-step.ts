import type { ListenAddress } from '../core/policy.ts';
import type { Met } from './demo-clients.ts';
import type { DemoOrigins } from './demo-origins.ts';
import { type DemoRecord, type FoundRecord, findRecords, type RecordSource, recordClasses } from './demo-records.ts';

/** What steps play on. */
export interface DemoScene {
  readonly origins: DemoOrigins;
  readonly gateway: DemoListeners;
  /** The gateway's CA (PEM): all that the clients trust. */
  readonly ca: string;
  readonly records: RecordSource;
}

/** Where the gateway listens: as a proxy for the web, in the place of the servers for mail and files. */
export interface DemoListeners {
  readonly proxy: ListenAddress;
  readonly mail: ListenAddress;
  readonly files: ListenAddress;
}

/** Something that has to be so, and whether it is. */
export interface Claim {
  readonly says: string;
  readonly holds: boolean;
}

/** What became of a step, in words of each of the three. */
export interface StepOutcome {
  readonly client: readonly string[];
  readonly gateway: readonly string[];
  readonly origin: readonly string[];
  readonly records: readonly FoundRecord[];
  readonly claims: readonly Claim[];
}

export interface Step {
  readonly id: string;
  readonly title: string;
  play(scene: DemoScene): Promise<StepOutcome>;
}

/** The label of records whose plaintext was restored. */
const label = 'Decryption Detection';

/** The record of what passed, once it is written, with what a record of an inspected and allowed unit has to say. */
export async function recordOfPassed({ records }: DemoScene, test: (record: DemoRecord) => boolean): Promise<Recorded> {
  const [found] = await findRecords(records, [test]);
  const { metadata, unmapped } = found?.record ?? {};
  const claims = [
    { says: `its record is labelled "${label}"`, holds: metadata?.labels?.includes(label) ?? false },
    { says: 'its record has the verdict "allow"', holds: unmapped?.gateway?.verdict === 'allow' },
  ];
  return { record: found?.record ?? {}, records: found === undefined ? [] : [found], found: [], claims };
}

export interface Recorded {
  /** Empty when it has not come. */
  readonly record: DemoRecord;
  readonly records: readonly FoundRecord[];
  /** What rules found, in a sentence each. */
  readonly found: readonly string[];
  readonly claims: readonly Claim[];
}

/** The record of what was blocked, and its alarm. */
export async function recordOfBlocked(
  { records }: DemoScene,
  rule: string,
  test: (record: DemoRecord) => boolean,
): Promise<Recorded> {
  const isAlarm = ({ class_uid, unmapped }: DemoRecord): boolean =>
    class_uid === recordClasses.alarm && unmapped?.gateway?.rule === rule;
  const [found, alarm] = await findRecords(records, [test, isAlarm]);
  const { metadata, unmapped } = found?.record ?? {};
  const claims = [
    { says: `an alarm names the rule ${rule}`, holds: alarm !== undefined },
    { says: `its record is labelled "${label}"`, holds: metadata?.labels?.includes(label) ?? false },
    {
      says: 'its record has the verdict "block" by that rule',
      holds: unmapped?.gateway?.verdict === 'block' && unmapped.gateway.rule === rule,
    },
  ];
  const { field, excerpt } = alarm?.record.evidences?.[0]?.data ?? {};
  return {
    record: found?.record ?? {},
    records: [found, alarm].filter((each) => each !== undefined),
    found: [alarm === undefined ? 'finds nothing' : `finds ${excerpt ?? ''} in ${field ?? ''}: rule ${rule}`],
    claims,
  };
}

/** What a client met, in its own words. */
export function wordsOf(met: Met<string>): string {
  return met.kind === 'answer' ? met.answer : met.error;
}
