import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '../../support/gateway.ts';
import { run } from '../../support/run.ts';
import type { LabCertificate } from './lab.ts';

/** What `openssl ocsp` knows and signs with. */
export interface OcspAuthority {
  readonly issuer: LabCertificate;
  /** Signs the answers; the issuer itself when left out. */
  readonly signer?: LabCertificate;
  readonly certificates: readonly OcspEntry[];
}

export interface OcspEntry {
  readonly certificate: LabCertificate;
  readonly revoked?: string;
}

/** Lets `openssl ocsp` answer a request; the DER of its answer. */
export async function opensslAnswer(
  authority: OcspAuthority,
  request: Buffer,
  args: readonly string[] = ['-ndays', '7'],
): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-ocsp-'));
  try {
    writeFileSync(join(directory, 'request.der'), request);
    const files = writeOcspFiles(directory, authority);
    const done = await run('openssl', ['ocsp', ...files, '-reqin', 'request.der', '-respout', 'answer.der', ...args], {
      cwd: directory,
    });
    if (done.code !== 0) throw new Error(`openssl ocsp: ${done.stderr}`);
    return readFileSync(join(directory, 'answer.der'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Writes what `openssl ocsp` answers from into a directory; the options that name it. */
function writeOcspFiles(
  directory: string,
  { issuer, signer = issuer, certificates }: OcspAuthority,
): readonly string[] {
  writeFileSync(join(directory, 'index.txt'), certificates.map(indexLine).join(''));
  writeFileSync(join(directory, 'ca.pem'), issuer.pem);
  writeFileSync(join(directory, 'signer.pem'), signer.pem);
  writeFileSync(join(directory, 'signer.key'), signer.keyPem);
  return ['-index', 'index.txt', '-CA', 'ca.pem', '-rsigner', 'signer.pem', '-rkey', 'signer.key'];
}

/** A line of the database of `openssl ca`: status, end of validity, time and reason of revocation, serial number. */
function indexLine({ certificate, revoked }: OcspEntry): string {
  const serial = certificate.x509.serialNumber;
  const status = revoked === undefined ? 'V\t491231235959Z\t' : `R\t491231235959Z\t260101000000Z,${revoked}`;
  return `${status}\t${serial}\tunknown\t/CN=${serial}\n`;
}

/** A responder that runs: `openssl ocsp -port`. */
export interface OcspResponder extends AsyncDisposable {
  readonly url: string;
}

/** Starts it and waits until it accepts. The port must be free. */
export async function startOpensslResponder(port: number, authority: OcspAuthority): Promise<OcspResponder> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-ocsp-'));
  const files = writeOcspFiles(directory, authority);
  const child = spawn('openssl', ['ocsp', '-port', `${port}`, '-ndays', '7', '-ignore_err', ...files], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  // A connection that says nothing would keep it busy for good: what it writes tells that it listens.
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  await waitUntil(
    () => said.includes('waiting for OCSP client connections'),
    () => `openssl ocsp does not listen: ${said}`,
  );
  return {
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
