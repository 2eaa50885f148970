import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LearnedBypasses, type LearnedChange } from '../../src/control/learned-bypasses.ts';
import { readLearned, writeLearned } from '../../src/control/learned-file.ts';
import type { LeafRejection } from '../../src/core/learned-bypass.ts';
import { limits } from '../../src/core/limits.ts';
import type { LearnedBypassPolicy } from '../../src/core/policy.ts';

const policy: LearnedBypassPolicy = {
  action: 'bypass',
  rejections: 3,
  withinMs: 60_000,
  forMs: 3_600_000,
  group: 'client',
  never: ['*.mail.example'],
};

function learning(startMs = 1_000_000) {
  const changes: string[] = [];
  const clock = { now: startMs };
  const onChange = ({ entry, what }: LearnedChange): void => void changes.push(`${what} ${entry.host}`);
  const bypasses = new LearnedBypasses({ now: () => clock.now, onChange });
  const reject = (changed: Partial<LeafRejection> = {}, by = policy): void =>
    bypasses.reject({ ...rejection, timeMs: clock.now, ...changed }, by);
  return { bypasses, reject, clock, changes };
}

const rejection: LeafRejection = {
  group: 'client 10.0.0.1',
  host: 'api.example',
  port: 443,
  sign: 'alert',
  detail: 'unknown_ca',
  client: '10.0.0.1',
  timeMs: 0,
  flowId: 'F',
};

describe('what clients teach', () => {
  it('is in force after so many rejections, for this group, host and port alone, until it expires', () => {
    const { bypasses, reject, clock, changes } = learning();
    reject();
    reject();
    expect(bypasses.inForce()).toEqual([]);
    reject();
    const { group, host, port } = rejection;
    const untilMs = clock.now + policy.forMs;
    const evidence = '3 rejections, last alert unknown_ca';
    expect(bypasses.inForce()).toEqual([{ group, host, port, untilMs, by: 'policy', evidence }]);
    clock.now = untilMs;
    expect(bypasses.inForce()).toEqual([]);
    expect(bypasses.expire()).toBe(true);
    expect(bypasses.entries).toEqual([]);
    expect(changes).toEqual(['learned api.example', 'expired api.example']);
  });

  it.each([
    ['from several groups', [{ group: 'a' }, { group: 'b' }, { group: 'c' }]],
    ['for several hosts', [{ host: 'a.example' }, { host: 'b.example' }, { host: 'c.example' }]],
    ['for several ports', [{ port: 1 }, { port: 2 }, { port: 3 }]],
    ['for a host that is never learned', Array.from({ length: 9 }, () => ({ host: 'x.mail.example' }))],
  ])('is nothing when the rejections come %s', (_what, each) => {
    const { bypasses, reject } = learning();
    for (const changed of each) reject(changed);
    expect(bypasses.inForce()).toEqual([]);
  });

  it('needs rejections within the time of policy', () => {
    const { bypasses, reject, clock } = learning();
    for (let round = 0; round < 5; round++) {
      reject();
      clock.now += policy.withinMs / 2 + 1;
      bypasses.expire();
    }
    expect(bypasses.inForce()).toEqual([]);
  });

  it('waits for an operator where policy asks, and is never approved where it refuses', () => {
    const { bypasses, reject, changes } = learning();
    for (let round = 0; round < 3; round++) reject({}, { ...policy, action: 'ask' });
    const [entry] = bypasses.entries;
    expect(entry).toMatchObject({ state: 'pending', rejections: 3 });
    expect(bypasses.inForce()).toEqual([]);
    const id = entry?.id ?? '';
    expect(bypasses.approve(id, 1_000, { ...policy, action: 'refuse' })).toBeUndefined();
    expect(bypasses.approve(id, 1_000, { ...policy, never: ['api.example'] })).toBeUndefined();
    expect(bypasses.approve('other', 1_000, policy)).toBeUndefined();
    expect(bypasses.approve(id, 1_000, { ...policy, action: 'ask' })).toMatchObject({
      by: 'operator',
      state: 'active',
    });
    expect(bypasses.inForce()).toHaveLength(1);
    expect(bypasses.remove(id)).toMatchObject({ host: 'api.example' });
    expect(bypasses.inForce()).toEqual([]);
    expect(changes).toEqual(['awaits approval api.example', 'approved api.example', 'removed api.example']);
  });
});

describe('a client that rejects everything', () => {
  it('fills its own share and leaves that of others alone', () => {
    const { bypasses, reject } = learning();
    for (let round = 0; round < 2; round++) reject({ group: 'quiet' });
    for (let host = 0; host < 1_000; host++) reject({ host: `h${host}.example` });
    const own = bypasses.entries.filter(({ group }) => group === rejection.group);
    expect(own).toHaveLength(limits.learnedPerGroup);
    reject({ group: 'quiet' });
    expect(bypasses.inForce()).toMatchObject([{ group: 'quiet' }]);
  });

  it('keeps bounded evidence', () => {
    const { bypasses, reject } = learning();
    for (let round = 0; round < 50; round++) reject({}, { ...policy, rejections: 100 });
    expect(bypasses.entries[0]).toMatchObject({ rejections: 50, state: 'watched' });
    for (let round = 0; round < 500; round++) reject({ host: 'b.example' }, { ...policy, action: 'refuse' });
    expect(bypasses.entries[1]?.evidence).toHaveLength(limits.learnedEvidence);
  });

  it('cannot take more than the table holds, from however many groups', () => {
    const { bypasses, reject } = learning();
    for (let group = 0; group < limits.learnedBypasses + 50; group++) reject({ group: `g${group}` });
    expect(bypasses.entries).toHaveLength(limits.learnedBypasses);
  }, 20_000);
});

describe('the file of what was learned', () => {
  it('holds everything over a restart, for its owner alone', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daylight-learned-'));
    const { bypasses, reject } = learning();
    for (let round = 0; round < 3; round++) reject();
    await writeLearned(directory, bypasses.entries);
    expect(statSync(join(directory, 'learned-bypasses.json')).mode & 0o777).toBe(0o600);
    expect(await readLearned(directory)).toEqual(bypasses.entries);
    rmSync(directory, { recursive: true });
  });

  it.each([
    ['no JSON', 'learn everything', 0o600],
    ['no list', '{}', 0o600],
    ['an entry without a host', '[{"id":"a"}]', 0o600],
    ['open to others', '[]', 0o644],
  ])('is not believed when it is %s', async (_what, content, mode) => {
    const directory = mkdtempSync(join(tmpdir(), 'daylight-learned-'));
    writeFileSync(join(directory, 'learned-bypasses.json'), content, { mode });
    await expect(readLearned(directory)).rejects.toThrow();
    rmSync(directory, { recursive: true });
  });
});
