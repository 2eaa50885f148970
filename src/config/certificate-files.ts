import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { InputFiles } from './input-files.ts';
import type { Config } from './schema.ts';
import type { Source } from './source.ts';

/** Checks the files of trusted roots as far as this layer can: readable, and each holds certificates. Returns their texts. */
export function readTrustFiles(config: Config, source: Source, inputs: InputFiles): readonly string[] {
  const { originTrust } = config;
  if (!originTrust.system && originTrust.files.length === 0 && source.isSound(originTrust)) {
    source.report(originTrust, [], 'trusts nothing, so that every origin fails: set system: true, or name files');
  }
  return originTrust.files.map((path, index) => {
    const file = inputs.read(path);
    if (file.kind === 'unreadable') source.report(originTrust, ['files', index], `${path} ${file.message}`);
    else if (certificatesIn(file.text) === undefined) {
      source.report(originTrust, ['files', index], `${path} holds no certificate in PEM, or a broken one`);
    }
    return file.kind === 'text' ? file.text : '';
  });
}

/**
 * Checks the own certificates of reverse listeners: readable, and each key fits its certificate. Returns the chains. A key
 * that others may read is told alone: secrets that Kubernetes mounts are like that, and no others are in the container.
 */
export function readOwnCertificates(config: Config, source: Source, inputs: InputFiles): readonly string[] {
  return config.listeners.flatMap((listener) => {
    if (listener.mode !== 'reverse' || listener.certificate === undefined) return [];
    const { certificate } = listener;
    const exposure = inputs.exposure(certificate.key);
    if (exposure !== undefined)
      source.warn(certificate, ['key'], `${certificate.key} ${exposure}: other users of this machine may read the key`);
    return readPair(certificate, source, inputs);
  });
}

/** Checks the certificates for origins likewise, and that their keys are kept as secrets. Returns the chains. */
export function readClientCertificates(config: Config, source: Source, inputs: InputFiles): readonly string[] {
  return config.originClientCertificates.certificates.flatMap((entry) => {
    const fault = inputs.secrecyFault(entry.key);
    if (fault !== undefined) source.report(entry, ['key'], `${entry.key} ${fault}`);
    return readPair(entry, source, inputs);
  });
}

interface PairOfFiles {
  readonly cert: string;
  readonly key: string;
}

function readPair(pair: PairOfFiles, source: Source, inputs: InputFiles): readonly string[] {
  const [cert, key] = (['cert', 'key'] as const).map((name) => {
    const file = inputs.read(pair[name]);
    if (file.kind === 'text') return file.text;
    source.report(pair, [name], `${pair[name]} ${file.message}`);
    return undefined;
  });
  if (cert === undefined || key === undefined) return [];
  const wrong = mismatch(cert, key);
  if (wrong !== undefined) source.report(pair, [wrong.key], `${pair[wrong.key]} ${wrong.message}`);
  return [cert];
}

function mismatch(cert: string, key: string): { key: 'cert' | 'key'; message: string } | undefined {
  const leaf = certificatesIn(cert)?.[0];
  if (leaf === undefined) return { key: 'cert', message: 'holds no certificate in PEM, or a broken one' };
  try {
    const fits = leaf.checkPrivateKey(createPrivateKey(key));
    return fits ? undefined : { key: 'key', message: 'is not the key of the certificate' };
  } catch {
    // What OpenSSL says here helps nobody, and might repeat a part of the file.
    return { key: 'key', message: 'holds no private key in PEM that can be read without a passphrase' };
  }
}

/** The certificates of a PEM text; undefined when there is none or one is broken. */
function certificatesIn(pem: string): readonly X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g);
  try {
    return blocks?.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}
