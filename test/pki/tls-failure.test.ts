import { getDiffieHellman } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FlowFailure } from '../../src/core/failures.ts';
import { integer, sequence, unsignedInteger } from '../../src/pki/der-writer.ts';
import { pemOf } from '../../src/pki/pem.ts';
import { failureOfTlsError } from '../../src/pki/tls-failure.ts';
import {
  clientAuth,
  type LabSubject,
  labCertificate,
  labDirectory,
  labExtension,
  labKey,
  labLeaf,
  labRoot,
} from './support/lab.ts';
import {
  type Dial,
  dial,
  flippingRelay,
  freePort,
  nodeOrigin,
  type OriginCredential,
  opensslOrigin,
  rawOrigin,
} from './support/origins.ts';
import { hasTool } from './support/tools.ts';

const root = labRoot();
const names = ['www.example.com'];
const rsaKey = labKey('rsa2048');
const rsaLeaf = labLeaf(root, { names, key: rsaKey, keyUsage: [0, 2] });
const day = 86_400_000;

async function codeOf(port: number, options: Partial<Dial> = {}): Promise<string> {
  return (await dial(port, { roots: [root], ...options }))?.code ?? 'verified';
}

function below(subject: LabSubject, leaf: LabSubject = {}): OriginCredential {
  const middle = labCertificate(root, { commonName: 'Lab intermediate', ca: true, keyUsage: [5, 6], ...subject });
  return { leaf: labLeaf(middle, { names, ...leaf }), chain: [middle] };
}

/** Parameters of 1024 bits; their prime is public, so none need be made. */
function dhFile(): string {
  const path = join(labDirectory(), 'dh.pem');
  // RFC 2409 section 6.2: the second Oakley group.
  const prime = getDiffieHellman('modp2').getPrime();
  writeFileSync(path, pemOf('DH PARAMETERS', sequence(unsignedInteger(prime), integer(2))));
  return path;
}

describe('certificates of real origins', () => {
  test.each<[string, () => OriginCredential, string]>([
    ['a good one', () => ({ leaf: labLeaf(root, { names }) }), 'verified'],
    ['a good one below an intermediate', () => below({}), 'verified'],
    [
      'expired',
      () => ({ leaf: labLeaf(root, { names, notBefore: 0, notAfter: Date.now() - day }) }),
      'ORIGIN_CERT_EXPIRED',
    ],
    [
      'not yet valid',
      () => ({ leaf: labLeaf(root, { names, notBefore: Date.now() + day / 2 }) }),
      'ORIGIN_CERT_NOT_YET_VALID',
    ],
    ['an expired intermediate', () => below({ notBefore: 0, notAfter: Date.now() - day }), 'ORIGIN_CERT_EXPIRED'],
    [
      'self-signed',
      () => ({ leaf: labCertificate(undefined, { names, commonName: 'self' }) }),
      'ORIGIN_CERT_SELF_SIGNED',
    ],
    ['of an unknown root', () => ({ leaf: labLeaf(labRoot(), { names }) }), 'ORIGIN_CERT_UNTRUSTED'],
    [
      'of an unknown root that is sent',
      () => {
        const other = labRoot();
        return { leaf: labLeaf(other, { names }), chain: [other] };
      },
      'ORIGIN_CERT_UNTRUSTED',
    ],
    [
      'of a false root with the name of the true one',
      () => ({ leaf: labLeaf(labRoot({ commonName: root.x509.subject.slice(3) }), { names }) }),
      'ORIGIN_CERT_INVALID',
    ],
    ['a missing intermediate', () => ({ leaf: below({}).leaf }), 'ORIGIN_CERT_UNTRUSTED'],
    ['a leaf as issuer', () => below({ ca: false }), 'ORIGIN_CERT_INVALID'],
    ['an issuer that may not sign', () => below({ keyUsage: [0] }), 'ORIGIN_CERT_INVALID'],
    ['for clients', () => ({ leaf: labLeaf(root, { names, purposes: [clientAuth] }) }), 'ORIGIN_CERT_PURPOSE'],
    [
      'an unknown critical extension',
      () => ({ leaf: labLeaf(root, { names, extra: [labExtension('1.2.3.4', true, Buffer.from('0500', 'hex'))] }) }),
      'ORIGIN_CERT_INVALID',
    ],
    ['SHA-1', () => below({ hash: 'sha1' }), 'ORIGIN_CERT_WEAK'],
    ['an issuer with RSA 1024', () => below({ key: labKey('rsa1024') }), 'ORIGIN_CERT_WEAK'],
    ['a CA as leaf', () => ({ leaf: labLeaf(root, { names, ca: true }) }), 'ORIGIN_CERT_PURPOSE'],
    ['another name', () => ({ leaf: labLeaf(root, { names: ['www.example.org'] }) }), 'ORIGIN_CERT_NAME_MISMATCH'],
  ])('%s', async (_, credential, expected) => {
    expect(await codeOf(await nodeOrigin(credential(), { ciphers: 'DEFAULT@SECLEVEL=0' }))).toBe(expected);
  });
});

describe('what is no TLS', () => {
  test.each<[string, string]>([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'],
    ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['SMTP', '220 mail.example ESMTP\r\n'],
    ['zeros', '\0'.repeat(64)],
  ])('%s', async (_, answer) => {
    const port = await rawOrigin((socket) => socket.write(answer));
    expect(await codeOf(port)).toBe('ORIGIN_NOT_TLS');
  });

  test('an origin that closes or resets at once is gone', async () => {
    expect(await codeOf(await rawOrigin((socket) => socket.end()))).toBe('ORIGIN_GONE');
    expect(await codeOf(await rawOrigin((socket) => socket.once('data', () => socket.resetAndDestroy())))).toBe(
      'ORIGIN_GONE',
    );
  });

  test('a port that nothing listens on refuses', async () => {
    expect(await codeOf(await freePort())).toBe('ORIGIN_REFUSED');
  });
});

describe('weak TLS of Node origins', () => {
  const weak = { leaf: rsaLeaf };
  test.each<[string, Parameters<typeof nodeOrigin>[1], string]>([
    [
      'TLS 1.1 alone',
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      'ORIGIN_TLS_TOO_WEAK',
    ],
    ['CBC alone', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA' }, 'ORIGIN_HANDSHAKE_FAILED'],
    ['static RSA alone', { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }, 'ORIGIN_HANDSHAKE_FAILED'],
    [
      'DHE alone',
      { maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES128-GCM-SHA256', dhparam: 'auto' },
      'ORIGIN_HANDSHAKE_FAILED',
    ],
    ['no application protocol in common', { ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2' }, 'verified'],
  ])('%s', async (_, options, expected) => {
    expect(await codeOf(await nodeOrigin(weak, options))).toBe(expected);
  });

  test.each<[string, Parameters<typeof nodeOrigin>[1], Dial['exceptions']]>([
    ['TLS 1.0', { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }, ['tls1.0']],
    ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }, ['tls1.1']],
    ['static RSA', { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }, ['rsa-key-exchange']],
    ['static RSA with CBC', { maxVersion: 'TLSv1.2', ciphers: 'AES256-SHA' }, ['rsa-key-exchange']],
    ['DHE', { maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES128-GCM-SHA256', dhparam: 'auto' }, ['dhe-key-exchange']],
  ])('%s is spoken where policy names the exception', async (_, options, exceptions = []) => {
    const port = await nodeOrigin(weak, options);
    expect(await codeOf(port, { exceptions })).toBe('verified');
    expect(await codeOf(port)).not.toBe('verified');
  });

  test('an exception for old versions keeps certificates strong', async () => {
    const port = await nodeOrigin(below({ hash: 'sha1' }), { ciphers: 'DEFAULT@SECLEVEL=0' });
    expect(await codeOf(port, { exceptions: ['tls1.0'] })).toBe('ORIGIN_CERT_WEAK');
  });
});

describe('damaged handshakes', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s fail as such wherever a bit flips', async (version) => {
    const origin = await nodeOrigin({ leaf: rsaLeaf }, { maxVersion: version });
    const outcomes = new Set<string>();
    for (const at of [0, 3, 9, 60, 200, 700, 1_000, 1_200]) {
      outcomes.add(await codeOf(await flippingRelay(origin, at)));
    }
    outcomes.delete('ORIGIN_HANDSHAKE_FAILED');
    const known = [
      'ORIGIN_NOT_TLS',
      'ORIGIN_GONE',
      'ORIGIN_TLS_TOO_WEAK',
      'ORIGIN_CERT_INVALID',
      'ORIGIN_CERT_UNTRUSTED',
    ];
    expect([...outcomes].filter((code) => !known.includes(code))).toEqual([]);
  });
});

describe.skipIf(!hasTool('openssl', 'version'))('origins of OpenSSL', () => {
  test.each<[string, OriginCredential, readonly string[], string]>([
    ['a good one', { leaf: rsaLeaf }, [], 'verified'],
    [
      'RSA 1024',
      { leaf: labLeaf(root, { names, key: labKey('rsa1024') }) },
      ['-cipher', 'DEFAULT@SECLEVEL=0'],
      'ORIGIN_CERT_WEAK',
    ],
    ['TLS 1.1', { leaf: rsaLeaf }, ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'], 'ORIGIN_TLS_TOO_WEAK'],
    ['TLS 1.0', { leaf: rsaLeaf }, ['-tls1', '-cipher', 'DEFAULT@SECLEVEL=0'], 'ORIGIN_TLS_TOO_WEAK'],
    ['CBC alone', { leaf: rsaLeaf }, ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-SHA'], 'ORIGIN_HANDSHAKE_FAILED'],
    ['no encryption', { leaf: rsaLeaf }, ['-tls1_2', '-cipher', 'NULL-SHA256@SECLEVEL=0'], 'ORIGIN_HANDSHAKE_FAILED'],
    [
      'no authentication',
      { leaf: rsaLeaf },
      ['-tls1_2', '-cipher', 'ADH-AES128-SHA@SECLEVEL=0'],
      'ORIGIN_HANDSHAKE_FAILED',
    ],
    ['a client certificate in TLS 1.3', { leaf: rsaLeaf }, ['-Verify', '1', '-tls1_3'], 'ORIGIN_CLIENT_CERT_REQUIRED'],
    ['a client certificate in TLS 1.2', { leaf: rsaLeaf }, ['-Verify', '1', '-tls1_2'], 'ORIGIN_CLIENT_CERT_REQUIRED'],
    [
      'signatures with SHA-1',
      { leaf: rsaLeaf },
      ['-tls1_2', '-sigalgs', 'RSA+SHA1', '-cipher', 'DEFAULT@SECLEVEL=0'],
      'ORIGIN_HANDSHAKE_FAILED',
    ],
  ])('%s', async (_, credential, args, expected) => {
    expect(await codeOf(await opensslOrigin(credential, args))).toBe(expected);
  });

  test('a Diffie-Hellman group of 1024 bits is refused even where DHE is allowed', async () => {
    const port = await opensslOrigin({ leaf: rsaLeaf }, [
      '-tls1_2',
      '-cipher',
      'DHE-RSA-AES128-GCM-SHA256@SECLEVEL=0',
      '-dhparam',
      dhFile(),
    ]);
    expect(await codeOf(port, { exceptions: ['dhe-key-exchange'] })).toBe('ORIGIN_TLS_TOO_WEAK');
  });
});

describe('codes', () => {
  test('of our own checks pass unchanged', () => {
    const failure = new FlowFailure('ORIGIN_CERT_REVOKED', 'detail');
    expect(failureOfTlsError(failure)).toEqual({ code: 'ORIGIN_CERT_REVOKED', detail: 'detail' });
  });

  test.each([
    ['CERT_REVOKED', 'ORIGIN_CERT_REVOKED'],
    ['PATH_LENGTH_EXCEEDED', 'ORIGIN_CERT_INVALID'],
    ['PERMITTED_VIOLATION', 'ORIGIN_CERT_INVALID'],
    ['ENOTFOUND', 'ORIGIN_NAME_UNRESOLVED'],
    ['EHOSTUNREACH', 'ORIGIN_UNREACHABLE'],
    ['ETIMEDOUT', 'ORIGIN_CONNECT_TIMEOUT'],
    ['ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY', 'ORIGIN_TLS_TOO_WEAK'],
    ['ERR_SSL_UNSAFE_LEGACY_RENEGOTIATION_DISABLED', 'ORIGIN_TLS_TOO_WEAK'],
    ['ERR_SSL_SOMETHING_NEW', 'ORIGIN_HANDSHAKE_FAILED'],
    ['SOMETHING_NEW', 'ORIGIN_HANDSHAKE_FAILED'],
  ])('%s is %s', (code, expected) => {
    expect(failureOfTlsError(Object.assign(new Error('text of the peer'), { code })).code).toBe(expected);
  });

  test('no text of a peer gets into the detail', () => {
    const hostile = Object.assign(new Error('<script>'), { code: 'a\nforged line' });
    expect(failureOfTlsError(hostile).detail).toBe('without a reason code');
    expect(failureOfTlsError(new Error('<script>')).detail).toBe('without a reason code');
  });
});
