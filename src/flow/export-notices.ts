import type { ExportPolicy, KeyLogPolicy } from '../core/policy.ts';

/** What leaves the gateway unmasked by the policy, one sentence each. */
export function exportNotices(policy: {
  readonly export: ExportPolicy;
  readonly keyLog: KeyLogPolicy;
}): readonly string[] {
  const { pcapng, pcapOverIp } = policy.export;
  const { client, origin } = policy.keyLog;
  return [
    ...(pcapng === undefined ? [] : [`decrypted traffic is written, unmasked, to ${pcapng.directory}`]),
    ...(pcapOverIp === undefined
      ? []
      : [
          `decrypted traffic is streamed, unmasked, to whoever connects to ${pcapOverIp.ip} from port ${pcapOverIp.port} on`,
        ]),
    ...(client === undefined
      ? []
      : [`TLS keys of clients are written to ${client}: whoever reads them decrypts the traffic`]),
    ...(origin === undefined
      ? []
      : [`TLS keys of origins are written to ${origin}: whoever reads them decrypts the traffic`]),
  ];
}
