import { describe, expect, it } from 'vitest';
import { decide } from '../../src/flow/decide.ts';
import { compilePolicy } from '../../src/flow/policy-snapshot.ts';
import { policyDocument } from '../support/policy.ts';

const policy = compilePolicy(
  policyDocument({
    assets: [
      { id: 'web-1', kind: 'cvm', detect: true, addresses: ['10.1.0.0/24'], hosts: [] },
      { id: 'quiet', kind: 'container', detect: false, addresses: ['10.2.0.0/24'], hosts: [] },
      { id: 'shop', kind: 'gaap', detect: true, addresses: [], hosts: ['shop.example'] },
    ],
    bypass: [
      { hosts: ['*.bank.example'], addresses: [], assets: [], reason: 'privacy' },
      { hosts: [], addresses: ['192.0.2.0/24'], assets: [], reason: 'partner network' },
    ],
    refuse: [
      { hosts: ['evil.bank.example'], addresses: [], ports: [], reason: 'prohibited' },
      { hosts: [], addresses: [], ports: [23], reason: 'telnet' },
    ],
    defaults: { detect: true },
  }),
);
const explicitly = (host: string, port = 443) => ({ host, port });
const transparently = (ip: string, port = 443) => ({ host: ip, port, ip });
const asset = (ip: string) => policy.assetOf(ip, undefined, policy.document.listeners[0] ?? neverUsed());
function neverUsed(): never {
  throw new Error('the policy of this test has a listener');
}

describe('decide', () => {
  it.each([
    ['an ordinary host', explicitly('a.example'), 'a.example', undefined, 'intercept', 'default'],
    ['an exempt host', explicitly('www.bank.example'), 'www.bank.example', undefined, 'bypass', 'bypass: privacy'],
    [
      'an exempt host without a server name',
      explicitly('www.bank.example'),
      undefined,
      undefined,
      'bypass',
      'bypass: privacy',
    ],
    [
      'an exempt server name at another host',
      explicitly('a.example'),
      'www.bank.example',
      undefined,
      'intercept',
      'default',
    ],
    [
      'another server name at an exempt host',
      explicitly('www.bank.example'),
      'a.example',
      undefined,
      'intercept',
      'default',
    ],
    [
      'an exempt server name in transparent mode',
      transparently('203.0.113.9'),
      'www.bank.example',
      undefined,
      'bypass',
      'bypass: privacy',
    ],
    ['an exempt address', transparently('192.0.2.7'), 'a.example', undefined, 'bypass', 'bypass: partner network'],
    [
      'a refused host inside an exempt domain',
      explicitly('evil.bank.example'),
      'evil.bank.example',
      undefined,
      'refuse',
      'prohibited',
    ],
    [
      'a refused server name at another host',
      explicitly('a.example'),
      'evil.bank.example',
      undefined,
      'refuse',
      'prohibited',
    ],
    ['a refused port', explicitly('a.example', 23), undefined, undefined, 'refuse', 'telnet'],
    ['an asset with detect on', explicitly('a.example'), 'a.example', '10.1.0.5', 'intercept', 'asset web-1'],
    ['an asset with detect off', explicitly('a.example'), 'a.example', '10.2.0.5', 'bypass', 'asset quiet'],
  ])('judges %s', (_what, destination, name, client, kind, reason) => {
    const found = client === undefined ? undefined : asset(client);
    expect(decide(policy, destination, name, { reached: found })).toMatchObject({ kind, reason });
  });

  it('lets an asset that only the server name tells of make policy stricter, not laxer', () => {
    const named = { id: 'quiet-shop', kind: 'gaap', detect: false, addresses: [], hosts: ['quiet.example'] } as const;
    const exempt = compilePolicy(
      policyDocument({ bypass: [{ hosts: [], addresses: [], assets: ['quiet-shop'], reason: 'lab' }] }),
    );
    for (const snapshot of [policy, exempt]) {
      const decision = decide(snapshot, explicitly('a.example'), 'quiet.example', { named });
      expect(decision).toEqual({ kind: 'intercept', reason: 'default' });
    }
    const off = compilePolicy(policyDocument({ defaults: { detect: false } }));
    const loud = { ...named, id: 'shop', detect: true };
    expect(decide(off, explicitly('a.example'), 'shop.example', { named: loud }).kind).toBe('intercept');
  });

  it('says which name a bypass rests on when the destination is an address', () => {
    const elsewhere = transparently('203.0.113.9');
    expect(decide(policy, elsewhere, 'www.bank.example', {})).toHaveProperty('restsOn', 'www.bank.example');
    const named = { id: 'quiet-shop', kind: 'gaap', detect: false, addresses: [], hosts: ['quiet.example'] } as const;
    expect(decide(policy, elsewhere, 'quiet.example', { named })).toEqual({
      kind: 'bypass',
      reason: 'asset quiet-shop',
      restsOn: 'quiet.example',
    });
    expect(decide(policy, transparently('192.0.2.7'), 'www.bank.example', {})).not.toHaveProperty('restsOn');
  });

  it('leaves alone what is no asset when the default is off', () => {
    const off = compilePolicy(policyDocument({ defaults: { detect: false } }));
    expect(decide(off, explicitly('a.example'), 'a.example', {})).toEqual({ kind: 'bypass', reason: 'default' });
  });
});
