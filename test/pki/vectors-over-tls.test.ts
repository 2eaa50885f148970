import { describe, expect, test } from 'vitest';
import { pemOf } from '../../src/pki/pem.ts';
import { type BetterTlsCase, betterTls } from './support/bettertls.ts';
import { isGood, type LimboCase, limboCases } from './support/limbo.ts';
import { overTls } from './support/over-tls.ts';
import { listedInPage } from './support/validation-page.ts';

/** The whole of it takes minutes: `npm run vectors`. A part runs each time. */
const whole = process.env.DAYLIGHT_ALL_VECTORS === '1';
const share = <Case>(cases: readonly Case[], every: number): readonly Case[] =>
  whole ? cases : cases.filter((_, index) => index % every === 0);

describe('as real origins through the origin leg', () => {
  // The clock of OpenSSL is the machine's; cases of another time, with CRLs or another depth are asked in process.
  const limbo = limboCases().filter(
    (each) =>
      each.peer_certificate_key !== null &&
      each.validation_time === null &&
      each.crls.length === 0 &&
      each.max_chain_depth === null,
  );

  test.skipIf(limbo.length === 0)(
    'x509-limbo is judged as in process',
    async () => {
      const accepted = new Map(listedInPage('## Accepted although x509-limbo refuses'));
      const refused = new Map(listedInPage('## Refused although x509-limbo accepts'));
      const wrong: string[] = [];
      let asked = 0;
      for (const each of share(limbo, 2)) {
        const expected = refused.has(each.id) ? false : isGood(each) || accepted.has(each.id);
        const outcome = await overTls(originOf(each));
        if (outcome === 'unservable') continue;
        asked += 1;
        if ((outcome === 'verified') !== expected) wrong.push(`${each.id}: ${outcome}`);
      }
      expect(wrong).toEqual([]);
      expect(asked).toBeGreaterThan(whole ? 130 : 60);
    },
    600_000,
  );

  const suite = betterTls();
  const isNow = suite !== undefined && Math.abs(Date.now() - suite.now) < 364 * 86_400_000;
  if (suite !== undefined && !isNow) console.warn('SKIPPED: the certificates of BetterTLS have expired');
  const wronglyJudged = async (cases: readonly BetterTlsCase[] = []): Promise<readonly string[]> => {
    const wrong: string[] = [];
    for (const each of cases) {
      const outcome = await overTls({
        chain: each.certificates.map((der) => pemOf('CERTIFICATE', Buffer.from(der, 'base64'))),
        key: each.key,
        roots: [suite?.rootPem ?? ''],
        name: each.hostname,
      });
      if ((outcome === 'verified') !== (each.expected === 'ACCEPT')) wrong.push(`${each.id}: ${outcome}`);
    }
    return wrong;
  };

  test.skipIf(!isNow)(
    'every graph of BetterTLS is judged right',
    async () => {
      expect(await wronglyJudged(suite?.suites.pathbuilding.testCases)).toEqual([]);
    },
    120_000,
  );

  test.skipIf(!isNow)(
    'name constraints of BetterTLS are judged right, those that are only advised too',
    async () => {
      expect(await wronglyJudged(share(suite?.suites.nameconstraints.testCases ?? [], 97))).toEqual([]);
    },
    3_600_000,
  );
});

function originOf(each: LimboCase) {
  return {
    chain: [each.peer_certificate, ...each.untrusted_intermediates],
    key: each.peer_certificate_key ?? '',
    roots: each.trusted_certs,
    name: each.expected_peer_name?.value ?? '',
  };
}
