import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowFailure } from '../../src/core/failures.ts';
import { parseCertificate, parsePublicKey } from '../../src/pki/certificate.ts';
import { DerError } from '../../src/pki/der-reader.ts';
import { distinguishedNameText } from '../../src/pki/distinguished-name.ts';
import {
  authorityKeyIdentifierOf,
  basicConstraintsOf,
  extendedKeyUsageOf,
  keyUsageOf,
  nameConstraintsOf,
  subjectAltNamesOf,
  subjectKeyIdentifierOf,
} from '../../src/pki/extensions.ts';
import { certificatesInPem } from '../../src/pki/pem.ts';
import { readPkcs12 } from '../../src/pki/pkcs12-reader.ts';
import { writePkcs12 } from '../../src/pki/pkcs12-writer.ts';
import { parseCrl } from '../../src/pki/revocation/crl.ts';
import { indexSteps } from '../../src/pki/revocation/crl-entries.ts';
import { parseOcspResponse } from '../../src/pki/revocation/ocsp-response.ts';
import { revocationPointersOf } from '../../src/pki/revocation/revocation-pointers.ts';
import { keyWeakness, signatureWeakness } from '../../src/pki/strength.ts';
import { Farm, farmDomain, nameConstraints } from '../../src/selftest/farm.ts';
import { crlOf, crlPoint, mustStaple, ocspOf, ocspPoint } from '../../src/selftest/revocation-answers.ts';
import { mutated } from '../support/mutated.ts';
import { labRoot } from './support/lab.ts';

const farm = new Farm();
const host = `fuzz.${farmDomain}`;
const [leaf = Buffer.alloc(0)] = farm.leaf({ names: [host, '127.0.0.1', `*.${farmDomain}`] }).certificates;
const constrained = farm.issuer('Constrained', { extensions: { more: nameConstraints({ excluded: [host] }) } });
const [rsa = Buffer.alloc(0)] = farm.leaf({ names: [host], key: farm.key('RSA-2048') }).certificates;
const certificates = mutated(leaf, constrained.certificate, rsa);

/** Everything that is read of a certificate. */
function readAll(der: Buffer): void {
  const { extensions, subject, issuer, publicKey, signatureAlgorithm } = parseCertificate(der);
  distinguishedNameText(subject);
  distinguishedNameText(issuer);
  keyWeakness(publicKey);
  signatureWeakness(signatureAlgorithm);
  for (const read of [
    authorityKeyIdentifierOf,
    basicConstraintsOf,
    extendedKeyUsageOf,
    keyUsageOf,
    nameConstraintsOf,
    subjectAltNamesOf,
    subjectKeyIdentifierOf,
  ]) {
    read(extensions);
  }
}

/** Whether a reading succeeded; it may fail with DerError alone. */
function reads(reading: () => unknown): boolean {
  try {
    reading();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(DerError);
    return false;
  }
}

describe('DER near to right', () => {
  it('as a certificate is read or refused with DerError', () => {
    let read = 0;
    fc.assert(
      fc.property(certificates, (der) => {
        if (reads(() => readAll(der))) read += 1;
      }),
      { numRuns: 5_000 },
    );
    // The changes are small enough that some go through: both ways were taken.
    expect(read).toBeGreaterThan(0);
  });

  it('as a public key is read or refused with DerError', () => {
    const keys = mutated(farm.key('P-256').publicKey, farm.key('RSA-2048').publicKey, farm.key('ed25519').publicKey);
    fc.assert(
      fc.property(keys, (der) => {
        reads(() => keyWeakness(parsePublicKey(der)));
      }),
      { numRuns: 3_000 },
    );
  });

  it('as a CRL or an OCSP response is read or refused with DerError', () => {
    const crls = mutated(crlOf(farm.intermediate, [leaf, rsa]), crlOf(farm.root, []));
    fc.assert(
      fc.property(crls, (der) => {
        reads(() => {
          for (const _ of indexSteps(parseCrl(der).entries));
        });
      }),
      { numRuns: 3_000 },
    );
    const answers = mutated(ocspOf(farm.intermediate, leaf, 'good'), ocspOf(farm.intermediate, rsa, 'revoked'));
    fc.assert(
      fc.property(answers, (der) => {
        reads(() => parseOcspResponse(der));
      }),
      { numRuns: 3_000 },
    );
  });

  it('as a certificate says whom to ask, or is refused with DerError', () => {
    const asking = [crlPoint('http://a.example/1'), ocspPoint('http://a.example/2'), mustStaple].map((more) => {
      const [certificate = Buffer.alloc(0)] = farm.leaf({ names: [host], extensions: { more } }).certificates;
      return certificate;
    });
    fc.assert(
      fc.property(mutated(...asking), (der) => {
        reads(() => revocationPointersOf(parseCertificate(der)));
      }),
      { numRuns: 3_000 },
    );
  });

  it('as PEM is read, block by block', () => {
    fc.assert(
      fc.property(mutated(labRoot().pem), (pem) => {
        certificatesInPem(pem.toString('latin1'));
      }),
      { numRuns: 1_000 },
    );
  });

  it('as PKCS#12 is read, or refused with a code', async () => {
    const { privateKey } = farm.key('P-256');
    const seed = writePkcs12({ certificates: [labRoot().pem], key: privateKey, password: 'p' });
    // Each reading derives keys; a few hundred take a second.
    await fc.assert(
      fc.asyncProperty(mutated(seed), async (file) => {
        await readPkcs12(file, 'p', 'file').catch((error: unknown) => expect(error).toBeInstanceOf(FlowFailure));
      }),
      { numRuns: 60 },
    );
  });
});
