import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isGood, judgeLimbo, limboCases } from './support/limbo.ts';

const cases = limboCases();
const page = readFileSync(new URL('../../docs/validation.md', import.meta.url), 'utf8');
const accepted = listed('## Accepted although x509-limbo refuses');
const refused = listed('## Refused although x509-limbo accepts');

/** What an attacker can use is never a matter of taste: none of it may ever be listed as accepted. */
const exploitable = [
  /^cve::/,
  /^rfc5280::nc::(?!permitted-dns-match-noncritical$|invalid-dnsname-leading-period$)/,
  /^webpki::san::(?:no-san|wildcard|public-suffix)/,
  /^webpki::(?:v1-cert|ee-basicconstraints-ca|ca-as-leaf|forbidden-|explicit-curve)/,
  /keycertsign|wrong-eku|revoked|expired|untrusted/,
];

describe.skipIf(cases.length === 0)('x509-limbo', () => {
  test('is whole', () => {
    expect(cases).toHaveLength(198);
  });

  test('what is accepted against it is what the page lists, and what is refused against it too', () => {
    const verdicts = cases.map((limbo) => ({ limbo, isAccepted: judgeLimbo(limbo).kind === 'verified' }));
    const wrongly = (isAccepted: boolean) =>
      verdicts
        .filter((verdict) => verdict.isAccepted === isAccepted && isGood(verdict.limbo) !== isAccepted)
        .map(({ limbo }) => limbo.id)
        .sort();
    expect(wrongly(true)).toEqual([...accepted.keys()].sort());
    expect(wrongly(false)).toEqual([...refused.keys()].sort());
    expect(refused.size).toBeLessThanOrEqual(8);
  });

  test('nothing that can be exploited is on the list', () => {
    expect([...accepted.keys()].filter((id) => exploitable.some((pattern) => pattern.test(id)))).toEqual([]);
  });

  test('every entry has a reason', () => {
    for (const reason of [...accepted.values(), ...refused.values()]) expect(reason.length).toBeGreaterThan(20);
  });
});

/** The rows of a table of the page: id and reason. */
function listed(heading: string): ReadonlyMap<string, string> {
  const section = page.slice(page.indexOf(heading) + heading.length).split('\n## ')[0] ?? '';
  return new Map([...section.matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)].map(([, id = '', reason = '']) => [id, reason]));
}
