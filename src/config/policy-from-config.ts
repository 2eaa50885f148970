import { createHash } from 'node:crypto';
import type { ListenerPolicy, PolicyDocument } from '../core/policy.ts';
import type { RuleDocument } from '../core/rule-document.ts';
import { addressText } from './cross-check.ts';
import type { InputFiles } from './input-files.ts';
import type { Config, ListenerConfig } from './schema.ts';
import { credentialsOf, upstreamOf } from './secrets.ts';
import type { Source } from './source.ts';

/** What the files say of a policy; control adds the roots and facts of the authority, which it reads itself. */
export type ConfiguredPolicy = Omit<PolicyDocument, 'originTrust' | 'authority'>;
export type PolicyDraft = Omit<ConfiguredPolicy, 'version'>;

/** Makes the policy of a configuration. Paths become absolute, so that they mean the same in every process. */
export function policyFromConfig(
  config: Config,
  rules: readonly RuleDocument[],
  source: Source,
  inputs: InputFiles,
): PolicyDraft {
  const {
    assets,
    defaults,
    bypass,
    refuse,
    tls,
    onOriginFailure,
    originFailures,
    learnedBypass,
    originExceptions,
    http,
    mail,
    files,
    opaque,
    admin,
  } = config;
  return {
    listeners: config.listeners.map((listener) => listenerPolicy(listener, source, inputs)),
    assets,
    defaults,
    bypass,
    refuse,
    tls: { ...tls, onOriginFailure },
    originFailures,
    learnedBypass: learnedBypassPolicy(learnedBypass),
    originExceptions,
    originClientCertificates: clientCertificatePolicy(config.originClientCertificates, inputs),
    revocation: revocationPolicy(config.revocation, inputs),
    upstream: config.upstream === undefined ? undefined : upstreamOf(config.upstream, source, inputs),
    http,
    mail: { ...mail, spool: { ...mail.spool, directory: inputs.resolve(mail.spool.directory) } },
    files,
    opaque,
    rules,
    scanners: config.scanners.map(({ url, timeout, ...scanner }) => ({ ...scanner, service: url, timeoutMs: timeout })),
    records: recordsPolicy(config.records, inputs),
    export: exportPolicy(config.export, inputs),
    keyLog: {
      client: config.keyLog.client && inputs.resolve(config.keyLog.client),
      origin: config.keyLog.origin && inputs.resolve(config.keyLog.origin),
    },
    timeouts: {
      openingMs: config.timeouts.opening,
      connectMs: config.timeouts.connect,
      handshakeMs: config.timeouts.handshake,
      idleMs: config.timeouts.idle,
      drainMs: config.timeouts.drain,
      handoverMs: config.timeouts.handover,
    },
    admin,
  };
}

/**
 * Names the content of a policy: the same content has the same version on every machine. Passwords are left out, because
 * the version stands in every record, and a digest over a weak password would let a reader of records try passwords.
 */
export function versionOf(content: unknown): string {
  const hidden = new Set(['password', 'passwordSha256']);
  return digest(JSON.stringify(content, (key, value) => (hidden.has(key) ? '' : value))).slice(0, 12);
}

/** Tells whether two loads differ in anything, passwords included. Stays in memory. */
export function contentDigestOf(content: unknown): string {
  return digest(JSON.stringify(content));
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function listenerPolicy(listener: ListenerConfig, source: Source, inputs: InputFiles): ListenerPolicy {
  const { listen, proxyProtocol, trustedProxies } = listener;
  const common = { id: `${listener.mode}:${addressText(listen)}`, listen, proxyProtocol, trustedProxies };
  switch (listener.mode) {
    case 'explicit':
      return { ...common, mode: 'explicit', credentials: credentialsOf(listener, source, inputs) };
    case 'transparent': {
      const { capture, spoofClient } = listener;
      return { ...common, mode: 'transparent', capture, spoofClient };
    }
    case 'reverse': {
      const { origin, originTls, originName, asset, certificate, sendProxyProtocol } = listener;
      return {
        ...common,
        mode: 'reverse',
        origin,
        originTls,
        originName,
        asset,
        certificate: certificate && {
          certFile: inputs.resolve(certificate.cert),
          keyFile: inputs.resolve(certificate.key),
        },
        sendProxyProtocol,
      };
    }
  }
}

function learnedBypassPolicy(learned: Config['learnedBypass']): PolicyDocument['learnedBypass'] {
  const { action, rejections, within, for: period, group, never } = learned;
  return { action, rejections, withinMs: within, forMs: period, group, never };
}

function clientCertificatePolicy(
  { onDemand, bypassFor, certificates }: Config['originClientCertificates'],
  inputs: InputFiles,
): PolicyDocument['originClientCertificates'] {
  return {
    onDemand,
    bypassMs: bypassFor,
    certificates: certificates.map(({ hosts, assets, cert, key }) => ({
      hosts,
      assets,
      certFile: inputs.resolve(cert),
      keyFile: inputs.resolve(key),
    })),
  };
}

function revocationPolicy(revocation: Config['revocation'], inputs: InputFiles): PolicyDocument['revocation'] {
  const { mode, timeout, directory, allowAddresses, overrides } = revocation;
  return { mode, timeoutMs: timeout, directory: inputs.resolve(directory), allowAddresses, overrides };
}

function exportPolicy({ pcapng, pcapOverIp }: Config['export'], inputs: InputFiles): PolicyDocument['export'] {
  if (pcapng === undefined) return { pcapng, pcapOverIp };
  const { directory, rotateBytes, rotateEvery, keep } = pcapng;
  const rotateSeconds = Math.ceil(rotateEvery / 1000);
  return { pcapng: { directory: inputs.resolve(directory), rotateBytes, rotateSeconds, keep }, pcapOverIp };
}

function recordsPolicy(records: Config['records'], inputs: InputFiles): PolicyDocument['records'] {
  const { directory, rotateBytes, rotateEvery, keep, bodyExcerptBytes, onFailure, alarmDurability } = records;
  return {
    directory: inputs.resolve(directory),
    rotateBytes,
    rotateSeconds: Math.ceil(rotateEvery / 1000),
    keep,
    bodyExcerptBytes,
    onFailure,
    alarmDurability,
  };
}
