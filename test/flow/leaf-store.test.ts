import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { IssuedLeaf, LeafRequest } from '../../src/core/ipc.ts';
import { limits } from '../../src/core/limits.ts';
import { type LeafContext, LeafStore } from '../../src/flow/leaf-store.ts';
import { certificateFactsOf } from '../../src/pki/certificate-facts.ts';
import { commonNameOnly, freshSerialNumber, signCertificate } from '../../src/pki/certificate-writer.ts';
import { pemOf } from '../../src/pki/pem.ts';
import { trustAnchorsOf } from '../../src/pki/trust-anchors.ts';
import { validate } from '../../src/pki/validate.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const hourMs = 3_600_000;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const policy = { minVersion: 'TLSv1.2', keyExchange: ['ecdhe'] } as const;

/** Control as far as a store knows it: signs whatever it is asked for, once it may. */
function authority() {
  const asked: string[] = [];
  let release: () => void = () => {};
  let held: Promise<void> = Promise.resolve();
  return {
    asked,
    hold: () => {
      held = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => release(),
    async issue({ name, publicKey }: LeafRequest): Promise<IssuedLeaf> {
      asked.push(name);
      await held;
      const notAfter = Date.now() + hourMs;
      const der = await signCertificate(
        {
          serialNumber: freshSerialNumber(),
          issuer: commonNameOnly('test'),
          subject: commonNameOnly(name),
          notBefore: Date.now() - hourMs,
          notAfter,
          publicKey,
          extensions: [],
        },
        privateKey,
      );
      const chainPem = pemOf('CERTIFICATE', der);
      return { chainPem, facts: certificateFactsOf(chainPem) };
    },
  };
}

const leafFor = (store: LeafStore, name: string, client = '192.0.2.1'): Promise<LeafContext> =>
  store.contextFor({ kind: 'untrusted', name, code: 'ORIGIN_CERT_EXPIRED' }, 'ec', policy, client);

describe('the leafs of a relay', () => {
  it('are minted for others while one client has as many minted as it may', async () => {
    const asked: string[] = [];
    const store = new LeafStore(({ name }) => {
      asked.push(name);
      return new Promise(() => {});
    }, randomBytes(48));
    const names = Array.from({ length: limits.leafPending + 1 }, (_, index) => `n${index}.example`);
    let refused = 0;
    for (const name of names) {
      leafFor(store, name, '192.0.2.1').catch(({ code }: { code: string }) => {
        refused += code === 'GATEWAY_OVERLOADED' ? 1 : 0;
      });
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect([asked.length, refused]).toEqual([limits.leafPending / 2, limits.leafPending / 2 + 1]);
    void leafFor(store, 'other.example', '192.0.2.2').catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked.at(-1)).toBe('other.example');
  });

  it('are kept up to a limit, the one that was used longest ago goes first', async () => {
    const control = authority();
    const store = new LeafStore(control.issue, randomBytes(48));
    const names = Array.from({ length: limits.leafCacheEntries + 50 }, (_, index) => `n${index}.example`);
    for (const name of names) {
      await leafFor(store, name);
      await leafFor(store, 'n0.example');
    }
    expect(store.size).toBe(limits.leafCacheEntries);
    const before = control.asked.length;
    await leafFor(store, 'n0.example');
    await leafFor(store, names.at(-1) ?? '');
    expect(control.asked.length).toBe(before);
    await leafFor(store, 'n1.example');
    expect(control.asked.length).toBe(before + 1);
  });

  it('are minted once for all that wait for the same one', async () => {
    const control = authority();
    const store = new LeafStore(control.issue, randomBytes(48));
    control.hold();
    const waiting = Array.from({ length: 20 }, () => leafFor(store, 'shop.example'));
    control.release();
    expect(new Set(await Promise.all(waiting)).size).toBe(1);
    expect(control.asked).toEqual(['shop.example']);
  });

  it('are refused while too many others are being minted, and minted again afterwards', async () => {
    const control = authority();
    const store = new LeafStore(control.issue, randomBytes(48));
    control.hold();
    const waiting = Array.from({ length: limits.leafPending }, (_, index) => {
      const name = `n${index}.example`;
      return leafFor(store, name, name);
    });
    await expect(leafFor(store, 'late.example')).rejects.toMatchObject({ code: 'GATEWAY_OVERLOADED' });
    control.release();
    await Promise.all(waiting);
    expect((await leafFor(store, 'late.example')).certificate.subject).toBe('CN=late.example');
  });

  it('that cannot be minted are asked for again, and none of the failures is kept', async () => {
    let attempts = 0;
    const control = authority();
    const store = new LeafStore(async (request) => {
      attempts += 1;
      if (attempts === 1) throw new Error('control is away');
      return control.issue(request);
    }, randomBytes(48));
    await expect(leafFor(store, 'shop.example')).rejects.toThrow('control is away');
    expect((await leafFor(store, 'shop.example')).certificate.subject).toBe('CN=shop.example');
  });

  it('of an authority that was replaced while they were minted serve nobody after that', async () => {
    const control = authority();
    const store = new LeafStore(control.issue, randomBytes(48));
    control.hold();
    const early = leafFor(store, 'shop.example');
    store.clear();
    const late = leafFor(store, 'shop.example');
    control.release();
    expect(await early).not.toBe(await late);
    expect((await leafFor(store, 'shop.example')).context).toBe((await late).context);
    expect(control.asked).toEqual(['shop.example', 'shop.example']);
  });

  it('are forgotten when the authority or the ticket keys change', async () => {
    const control = authority();
    const store = new LeafStore(control.issue, randomBytes(48));
    await leafFor(store, 'shop.example');
    store.clear();
    await leafFor(store, 'shop.example');
    store.ticketKeys = randomBytes(48);
    await leafFor(store, 'shop.example');
    expect(control.asked.length).toBe(3);
  });

  it('are one for all names below a wildcard of the origin, and another for each other name', async () => {
    const control = authority();
    const store = new LeafStore(control.issue, randomBytes(48));
    const authorityOfOrigins = await createTestAuthority();
    const { cert } = await authorityOfOrigins.issue({ names: ['*.shop.example', 'shop.example', 'www.shop.example'] });
    const peer = new X509Certificate(cert);
    const roots = trustAnchorsOf([authorityOfOrigins.rootPem]);
    const verifiedLeaf = (name: string) => {
      const verification = validate({ chain: [peer], roots, name, now: Date.now(), policy: { exceptions: [] } });
      if (verification.kind !== 'verified') throw new Error(verification.detail);
      return store.contextFor(verification, 'ec', policy, '');
    };
    for (const name of ['a.shop.example', 'b.shop.example', 'www.shop.example', 'shop.example'])
      await verifiedLeaf(name);
    expect(control.asked).toEqual(['a.shop.example', 'www.shop.example', 'shop.example']);
  });
});
