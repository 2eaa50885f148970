import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { canonicalName } from '../../src/pki/canonical-name.ts';
import { parsePublicKey } from '../../src/pki/certificate.ts';
import { commonNameOnly } from '../../src/pki/certificate-writer.ts';
import { distrustFault } from '../../src/pki/distrust.ts';
import { distrustedKeys } from '../../src/pki/distrusted-keys.ts';

/** Modulus of the key that preact-cli shipped with a root and its private half: `CN` says nothing of it, only the key does. */
const preactModulus = [
  'l_9ezgiwy6O9MyQRdOWWfYGX6zvMOjup-ocMn09IJfB9VaoaZvwQR8v5EV8RmpdK1f_5wyuVqaHGvWTnDDbW9p',
  'Um-',
  '3gS8Dk4zCKToKmmUlL2xJiq5fu6QTPyg3Uzy9CICjKSWMTw6lAMi8gPw4afIAG2LBLSEBGBGT4cgd2L88F1M8F',
  'JmKUfNGo4BP4mCc98jhQwLS1hCj9ayj-',
  'JQX8O07h86_NJDY_jdHGyuGOTitpucBnTd5jv8LyPNJcXKHNiOI6-u2c3H8dAO0I_TYDeI8SuRxIn-W-',
  'YclRPzV_7gRbkKiKz2SPmZ-ERJDVNXEJgTYx8pTMZGxyAdT61Rhq1xw',
].join('');

const issuer = canonicalName(commonNameOnly('Anyone'));
const spki = (key: ReturnType<typeof createPublicKey>): Buffer => key.export({ type: 'spki', format: 'der' });

test('a key that was shipped with a product is known by itself, whatever the certificate says', () => {
  const key = createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: preactModulus, e: 'AQAB' } });
  expect(distrustFault(parsePublicKey(spki(key)), issuer)).toEqual({
    code: 'ORIGIN_CERT_DISTRUSTED',
    detail: 'the private key of preact-cli is public',
  });
  const other = generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey;
  expect(distrustFault(parsePublicKey(spki(other)), issuer)).toBeUndefined();
});

test('the list holds whole hashes, each once, and says why', () => {
  const hashes = [...distrustedKeys.keys()];
  expect(hashes.filter((hash) => !/^[0-9a-f]{64}$/.test(hash))).toEqual([]);
  expect(hashes.length).toBeGreaterThan(30);
  const reasons = [...distrustedKeys.values()];
  expect(reasons.filter((reason) => !/ is public$|intercept/.test(reason))).toEqual([]);
});
