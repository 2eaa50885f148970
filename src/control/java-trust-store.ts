import { createHash } from 'node:crypto';

/** The password that Java programs expect of a trust store. It protects nothing: certificates are public. */
export const trustStorePassword = 'changeit';

/**
 * A Java trust store (JKS, version 2) with certificates alone. Every Java since 1.2 reads it; PKCS#12 stores without keys
 * are read differently from version to version.
 */
export function javaTrustStore(certificates: readonly Buffer[], timeMs: number): Buffer {
  const entries = certificates.map((der, index) =>
    Buffer.concat([
      uint32(trustedCertificate),
      text(`ca-${index}`),
      uint64(timeMs),
      text('X.509'),
      uint32(der.length),
      der,
    ]),
  );
  const content = Buffer.concat([uint32(magic), uint32(2), uint32(entries.length), ...entries]);
  // The format's own integrity check; the words are part of it.
  const password = Buffer.from(trustStorePassword, 'utf16le').swap16();
  const digest = createHash('sha1').update(password).update('Mighty Aphrodite').update(content).digest();
  return Buffer.concat([content, digest]);
}

const magic = 0xfeedfeed;
const trustedCertificate = 2;

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function text(ascii: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(ascii.length);
  return Buffer.concat([length, Buffer.from(ascii)]);
}
