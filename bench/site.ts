import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Place } from './namespace.ts';

/** The ground that all systems run on: where the origin is, and the keys and certificates made for this run. */
export interface Site extends Place {
  readonly folder: string;
  readonly originPort: number;
  /** Signs the origin's certificate: every system that verifies the origin trusts it. */
  readonly originCa: string;
  readonly originCertificate: string;
  readonly originKey: string;
  /** CA that the proxies sign leafs with (RSA-2048): certificate, key, and both in one file. */
  readonly proxyCa: string;
  readonly proxyCaKey: string;
  readonly proxyCaBoth: string;
  /** A certificate made in advance (P-256, signed by the proxies' CA) for the systems that make none. */
  readonly staticCertificate: string;
  readonly staticKey: string;
  readonly staticBoth: string;
}

/** Sizes of the bodies that the origin serves. */
export const bodies = { small: 1024, large: 1024 * 1024 } as const;

/** Makes keys and certificates for one run in `folder`, with the OpenSSL command. Nothing of it outlives the run. */
export function prepareSite(folder: string, place: Place): Site {
  const keys = join(folder, 'keys');
  mkdirSync(keys);
  const at = (name: string) => join(keys, name);
  const site: Site = {
    ...place,
    folder,
    originPort: place.isolated ? 443 : 9443,
    originCa: at('origin-ca.pem'),
    originCertificate: at('origin.pem'),
    originKey: at('origin.key'),
    proxyCa: at('proxy-ca.pem'),
    proxyCaKey: at('proxy-ca.key'),
    proxyCaBoth: at('proxy-ca-both.pem'),
    staticCertificate: at('static.pem'),
    staticKey: at('static.key'),
    staticBoth: at('static-both.pem'),
  };
  makeCa(site.originCa, at('origin-ca.key'), 'Origin CA');
  makeCa(site.proxyCa, site.proxyCaKey, 'Proxy CA');
  makeLeaf(place, 'rsa:2048', site.originCertificate, site.originKey, site.originCa, at('origin-ca.key'));
  makeLeaf(place, 'P-256', site.staticCertificate, site.staticKey, site.proxyCa, site.proxyCaKey);
  concatenate(site.proxyCaBoth, site.proxyCaKey, site.proxyCa);
  concatenate(site.staticBoth, site.staticKey, site.staticCertificate);
  return site;
}

function makeCa(certificate: string, key: string, name: string): void {
  const extensions = ['basicConstraints=critical,CA:true', 'keyUsage=critical,keyCertSign,cRLSign'];
  openssl(
    'req',
    '-x509',
    ...newKey('rsa:2048', key),
    '-out',
    certificate,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    ...add(extensions),
  );
}

function makeLeaf(place: Place, type: string, certificate: string, key: string, ca: string, caKey: string): void {
  const extensions = [
    `subjectAltName=DNS:${place.host},IP:${place.ip}`,
    'extendedKeyUsage=serverAuth',
    'basicConstraints=critical,CA:false',
    'keyUsage=critical,digitalSignature',
  ];
  const by = ['-CA', ca, '-CAkey', caKey, '-days', '1', '-subj', `/CN=${place.host}`];
  openssl('req', '-x509', ...newKey(type, key), '-out', certificate, ...by, ...add(extensions));
}

function newKey(type: string, file: string): string[] {
  const kind = type === 'P-256' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : [type];
  return ['-newkey', ...kind, '-noenc', '-keyout', file];
}

function add(extensions: readonly string[]): string[] {
  return extensions.flatMap((extension) => ['-addext', extension]);
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function concatenate(target: string, ...sources: string[]): void {
  writeFileSync(target, sources.map((source) => readFileSync(source, 'utf8')).join(''));
  chmodSync(target, 0o600);
}
