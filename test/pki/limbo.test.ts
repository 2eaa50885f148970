import { describe, expect, test } from 'vitest';
import { isGood, judgeLimbo, limboCases } from './support/limbo.ts';
import { listedInPage } from './support/validation-page.ts';

const cases = limboCases();
const accepted = listedInPage('## Accepted although x509-limbo refuses');
const refused = listedInPage('## Refused although x509-limbo accepts');

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
