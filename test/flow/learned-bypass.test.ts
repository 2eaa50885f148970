import { describe, expect, it } from 'vitest';
import type { LeafRejection, LearnedBypass } from '../../src/core/learned-bypass.ts';
import { limits } from '../../src/core/limits.ts';
import type { LearnedBypassPolicy, PolicyDocument } from '../../src/core/policy.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { LearnedBypassTable, learnedDecision, noteAcceptance, noteRejection } from '../../src/flow/learned-bypass.ts';
import { compilePolicy } from '../../src/flow/policy-snapshot.ts';
import { policyDocument } from '../support/policy.ts';

interface Case {
  readonly client?: string;
  readonly host: string;
  readonly ip?: string;
  readonly serverName?: string;
  readonly policy?: Partial<LearnedBypassPolicy>;
  readonly document?: Partial<PolicyDocument>;
}

const learned = (host: string, changes: Partial<LearnedBypass> = {}): LearnedBypass => ({
  group: 'client 10.0.0.1',
  host,
  port: 443,
  untilMs: Date.now() + 60_000,
  by: 'operator',
  evidence: '3 rejections',
  ...changes,
});

function flowOf({ client = '10.0.0.1', host, ip, serverName, policy, document }: Case, table: LearnedBypassTable) {
  const base = policyDocument(document);
  const snapshot = compilePolicy({ ...base, learnedBypass: { ...base.learnedBypass, ...policy } });
  const destination = { host, port: 443, ...(ip === undefined ? {} : { ip }) };
  const [listener] = snapshot.document.listeners;
  const facts = { client: { ip: client, port: 1 }, serverName, destination, flowId: 'F' };
  const flow = { facts, policy: snapshot, listener, plane: { learned: table } } as unknown as Flow;
  return { flow, tunnel: { destination, dial: () => Promise.reject(new Error('not dialled')) } };
}

function decide(entries: readonly LearnedBypass[], of: Case) {
  const table = new LearnedBypassTable(() => {});
  table.replace(entries);
  const { flow, tunnel } = flowOf(of, table);
  return learnedDecision(flow, tunnel);
}

describe('a learned bypass', () => {
  it.each<[string, readonly LearnedBypass[], Case]>([
    ['of the host that was asked for', [learned('a.example')], { host: 'a.example', serverName: 'a.example' }],
    ['of a host without a server name', [learned('a.example')], { host: 'a.example' }],
    ['of both names', [learned('a.example'), learned('b.example')], { host: 'a.example', serverName: 'b.example' }],
    ['of an address without a name', [learned('192.0.2.1')], { host: '192.0.2.1', ip: '192.0.2.1' }],
  ])('%s lets the flow pass to its destination', (_what, entries, of) => {
    expect(decide(entries, of)).toEqual({
      kind: 'bypass',
      reason: expect.stringMatching(/^learned bypass: 3 rejections; approved until /),
    });
  });

  it('of a name that only the ClientHello says goes where that name leads', () => {
    const of = { host: '192.0.2.1', ip: '192.0.2.1', serverName: 'a.example' };
    expect(decide([learned('a.example')], of)).toMatchObject({ kind: 'bypass', restsOn: 'a.example' });
  });

  it.each<[string, LearnedBypass, Case]>([
    ['only the server name was learned', learned('b.example'), { host: 'a.example', serverName: 'b.example' }],
    ['only the host was learned', learned('a.example'), { host: 'a.example', serverName: 'b.example' }],
    [
      'only the address was learned, and the client names a host',
      learned('192.0.2.1'),
      { host: '192.0.2.1', ip: '192.0.2.1', serverName: 'b.example' },
    ],
    ['another client taught it', learned('a.example', { group: 'client 10.0.0.2' }), { host: 'a.example' }],
    ['it is of another port', learned('a.example', { port: 8443 }), { host: 'a.example' }],
    ['it is over', learned('a.example', { untilMs: Date.now() - 1 }), { host: 'a.example' }],
    ['policy refuses', learned('a.example'), { host: 'a.example', policy: { action: 'refuse' } }],
    ['the host is never learned', learned('a.example'), { host: 'a.example', policy: { never: ['*.example'] } }],
    ['policy asks and nobody approved it', learned('a.example', { by: 'policy' }), { host: 'a.example' }],
    [
      'an asset taught it and clients learn alone',
      learned('a.example', { group: 'asset lab' }),
      {
        host: 'a.example',
        document: { assets: [{ id: 'lab', kind: 'cvm', detect: true, addresses: ['10.0.0.0/8'], hosts: [] }] },
      },
    ],
  ])('is none where %s', (_what, entry, of) => {
    expect(decide([entry], of)).toBeUndefined();
  });
});

describe('who learns', () => {
  const assets = [{ id: 'lab', kind: 'cvm', detect: true, addresses: ['10.0.0.0/8'], hosts: ['*.example'] }] as const;
  function groupOf(of: Partial<Case>): string | undefined {
    const told: LeafRejection[] = [];
    const table = new LearnedBypassTable((rejection) => told.push(rejection));
    noteRejection(flowOf({ host: 'a.example', ...of }, table).flow, 'a.example', 'alert', 'unknown_ca');
    return told[0]?.group;
  }

  it.each<[string, Partial<Case>, string]>([
    ['an address of IPv4', {}, 'client 10.0.0.1'],
    ['a /64 of IPv6', { client: '2001:db8:1:2:3:4:5:6' }, 'client 2001:db8:1:2::/64'],
    ['an asset where policy says so', { policy: { group: 'asset' }, document: { assets } }, 'asset lab'],
    [
      'the address of a client that is no asset, though its destination is one',
      { client: '192.0.2.7', policy: { group: 'asset' }, document: { assets } },
      'client 192.0.2.7',
    ],
  ])('is %s', (_what, of, group) => {
    expect(groupOf(of)).toBe(group);
  });
});

describe('evidence', () => {
  it('is told at a bounded rate', () => {
    let told = 0;
    const table = new LearnedBypassTable(() => {
      told += 1;
    });
    const rejection = {
      ...learned('a.example'),
      sign: 'alert',
      detail: '',
      client: '',
      timeMs: 5_000,
      flowId: '',
    } as const;
    for (let round = 0; round < 1_000; round++) table.rejected(rejection, 1_000);
    expect(told).toBe(limits.rejectionsToldPerSecond);
    table.rejected({ ...rejection, timeMs: 6_000 }, 1_000);
    expect(told).toBe(limits.rejectionsToldPerSecond + 1);
  });

  it('is no close where a leaf was accepted before, but an alert is', () => {
    const told: string[] = [];
    const table = new LearnedBypassTable(({ sign }) => told.push(sign));
    const { flow } = flowOf({ host: 'a.example' }, table);
    noteAcceptance(flow, 'a.example');
    noteRejection(flow, 'a.example', 'closed-after-handshake', '');
    noteRejection(flow, 'a.example', 'alert', 'bad_certificate');
    noteRejection(flow, 'b.example', 'closed-in-handshake', '');
    expect(told).toEqual(['alert', 'closed-in-handshake']);
  });
});
