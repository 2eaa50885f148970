import type { PolicyDocument } from '../../src/core/policy.ts';

/** A complete policy document with the defaults of the configuration, and what a test changes. */
export function policyDocument(changes: Partial<PolicyDocument> = {}): PolicyDocument {
  return {
    version: 'test',
    authority: { fingerprint: 'test', keyType: 'rsa' },
    listeners: [
      {
        id: 'explicit:127.0.0.1:0',
        mode: 'explicit',
        listen: { ip: '127.0.0.1', port: 0 },
        proxyProtocol: 'off',
        trustedProxies: [],
        credentials: [],
      },
    ],
    assets: [],
    defaults: { detect: true },
    bypass: [],
    refuse: [],
    tls: {
      client: { minVersion: 'TLSv1.2', keyExchange: ['ecdhe'] },
      origin: { minVersion: 'TLSv1.2' },
      onOriginFailure: 'close',
    },
    originTrust: { rootsPem: [] },
    originFailures: [],
    learnedBypass: { action: 'ask', rejections: 3, withinMs: 600_000, forMs: 43_200_000, group: 'client', never: [] },
    originExceptions: [],
    originClientCertificates: { onDemand: 'refuse', bypassMs: 3_600_000, certificates: [] },
    revocation: { mode: 'soft-fail', timeoutMs: 2_000, directory: 'var/revocation', allowAddresses: [], overrides: [] },
    upstream: undefined,
    http: {
      h2: true,
      hostMismatch: 'refuse',
      upgrades: 'allow',
      bodies: { undecodable: 'allow', bombs: 'block', decodeBytes: 67_108_864, files: 'record' },
      hold: { startBytes: 65_536, bodyBytes: 8_388_608 },
      headers: { request: { remove: [], set: [] }, response: { remove: [], set: [] } },
      altSvc: 'strip',
    },
    mail: {
      requireTls: false,
      xclient: false,
      holdBytes: 1_048_576,
      spool: { directory: 'var/spool', mailBytes: 0, totalBytes: 0 },
      headers: { remove: [], set: [] },
    },
    files: { requireTls: false, passiveAddress: 'refuse', authSsl: 'refuse', blockedUpload: 'keep' },
    opaque: 'allow',
    rules: [],
    records: {
      directory: 'var/records',
      rotateBytes: 100_000_000,
      rotateSeconds: 86_400,
      keep: 10,
      bodyExcerptBytes: 1_024,
      onFailure: 'stop',
      alarmDurability: 'write',
    },
    scanners: [],
    export: { pcapng: undefined, pcapOverIp: undefined },
    keyLog: { client: undefined, origin: undefined },
    timeouts: { openingMs: 2_000, connectMs: 2_000, handshakeMs: 2_000, idleMs: 10_000, drainMs: 2_000 },
    admin: undefined,
    ...changes,
  };
}
