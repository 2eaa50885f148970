import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { compileCidrs, compileHostPatterns } from '../codec/host.ts';
import type { Address } from '../core/endpoint.ts';
import type { FailureCode } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type {
  AssetPolicy,
  ListenAddress,
  ListenerPolicy,
  OriginClientCertificate,
  OriginException,
  OriginFailureAction,
  PolicyDocument,
  ReverseListener,
} from '../core/policy.ts';
import type { RevocationMode } from '../core/revocation.ts';
import { createOwnAddressCheck } from '../net/own-addresses.ts';
import { OriginTrust } from '../pki/origin-trust.ts';
import { clientTlsOptions } from '../pki/tls-options.ts';
import { type CompiledRules, compileRules } from '../rules/compile.ts';
import { clientCertificateLookup, type OriginContextWish, originContexts } from './origin-contexts.ts';
import { type ScannersFor, scannerLookup } from './scanners.ts';

/** The policy document made ready to run: compiled once, immutable, one per flow for its whole life. */
export interface PolicySnapshot {
  readonly document: PolicyDocument;
  readonly rules: CompiledRules;
  assetOf(clientIp: string, host: string | undefined, listener: ListenerPolicy): AssetPolicy | undefined;
  bypassReason(host: string, ip: string | undefined, assetId: string | undefined): string | undefined;
  refuseReason(host: string, ip: string | undefined, port: number): string | undefined;
  /** Why an address may not be dialled: it is ours, or policy refuses it. */
  forbidden(address: Address): FailureCode | undefined;
  /** Whether a port of ours has what nobody may reach: the admin address, or decrypted traffic. */
  isGuarded(port: number): boolean;
  /** What becomes of a flow whose origin fails its check: the host's entry decides, then the asset, then the default. */
  onOriginFailure(host: string | undefined, asset: AssetPolicy | undefined): OriginFailureAction;
  /** Whether nothing may be learned about a host. */
  neverLearned(host: string): boolean;
  exceptionFor(host: string): OriginException | undefined;
  /** The certificate that an origin may be shown when it asks for one. */
  clientCertificateFor(host: string, assetId: string | undefined): OriginClientCertificate | undefined;
  originContext(wish: OriginContextWish): SecureContext;
  /** How a host is treated that may be revoked. */
  revocationMode(host: string, assetId: string | undefined): RevocationMode;
  readonly originTrust: OriginTrust;
  /** Context of a reverse listener with its own certificate; undefined where leafs are used. */
  ownCertificate(listener: ListenerPolicy): OwnCertificate | undefined;
  bypassesUpstream(host: string): boolean;
  trustsProxyHeader(listener: ListenerPolicy, ip: string): boolean;
  /** Content scanners that bodies are shown to. */
  readonly scannersFor: ScannersFor;
}

export interface OwnCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Compiles a policy document. Throws FlowFailure or Error with a clear message; then nothing has changed. */
export function compilePolicy(document: PolicyDocument): PolicySnapshot {
  const bypass = document.bypass.map((entry) => ({
    reason: entry.reason,
    matches: destinationTest(entry.hosts, entry.addresses),
    assets: new Set(entry.assets),
  }));
  const refuse = document.refuse.map((entry) => ({
    reason: entry.reason,
    matches: destinationTest(entry.hosts, entry.addresses),
    anyDestination: entry.hosts.length === 0 && entry.addresses.length === 0,
    ports: new Set(entry.ports),
  }));
  const exceptions = document.originExceptions.map((entry) => ({ entry, matches: compileHostPatterns(entry.hosts) }));
  const failures = document.originFailures.map(({ hosts, action }) => ({
    action,
    matches: compileHostPatterns(hosts),
  }));
  const contexts = originContexts(document);
  const certificates = ownCertificates(document);
  const trusted = new Map(document.listeners.map((listener) => [listener.id, compileCidrs(listener.trustedProxies)]));
  const direct = compileHostPatterns(document.upstream?.except ?? []);
  return {
    document,
    rules: compileRules(document.rules),
    assetOf: assetLookup(document.assets),
    bypassReason: (host, ip, assetId) =>
      bypass.find((entry) => entry.matches(host, ip) || (assetId !== undefined && entry.assets.has(assetId)))?.reason,
    refuseReason: (host, ip, port) =>
      refuse.find(
        (entry) =>
          (entry.anyDestination || entry.matches(host, ip)) && (entry.ports.size === 0 || entry.ports.has(port)),
      )?.reason,
    forbidden: forbiddenTest(document),
    isGuarded: guardedTest(document),
    onOriginFailure: (host, asset) =>
      (host === undefined ? undefined : failures.find(({ matches }) => matches(host))?.action) ??
      asset?.onOriginFailure ??
      document.tls.onOriginFailure,
    neverLearned: compileHostPatterns(document.learnedBypass.never),
    exceptionFor: (host) => exceptions.find(({ matches }) => matches(host))?.entry,
    revocationMode: revocationLookup(document),
    clientCertificateFor: clientCertificateLookup(document),
    originContext: contexts,
    originTrust: new OriginTrust(document.originTrust.rootsPem, document.originTrust.ownPem),
    ownCertificate: (listener) => certificates.get(listener.id),
    bypassesUpstream: direct,
    trustsProxyHeader: (listener, ip) => trusted.get(listener.id)?.(ip) ?? false,
    scannersFor: scannerLookup(document.scanners),
  };
}

function destinationTest(hosts: readonly string[], addresses: readonly string[]) {
  const byHost = compileHostPatterns(hosts);
  const byAddress = compileCidrs(addresses);
  return (host: string, ip: string | undefined): boolean => byHost(host) || (ip !== undefined && byAddress(ip));
}

function assetLookup(assets: readonly AssetPolicy[]): PolicySnapshot['assetOf'] {
  const compiled = assets.map((asset) => ({
    asset,
    byAddress: compileCidrs(asset.addresses),
    byHost: compileHostPatterns(asset.hosts),
  }));
  return (clientIp, host, listener) => {
    const named = listener.mode === 'reverse' ? listener.asset : undefined;
    if (named !== undefined) return assets.find((asset) => asset.id === named);
    const match = compiled.find(({ byAddress, byHost }) => byAddress(clientIp) || (host !== undefined && byHost(host)));
    return match?.asset;
  };
}

function forbiddenTest(document: PolicyDocument): PolicySnapshot['forbidden'] {
  // A refused address is refused under whatever name it was reached.
  const refused = document.refuse.map(({ addresses, ports }) => ({
    matches: compileCidrs(addresses),
    ports: new Set(ports),
  }));
  const isListener = createOwnAddressCheck([
    ...document.listeners.map((listener) => listener.listen),
    ...exportAddresses(document.export),
  ]);
  const isAdmin = createOwnAddressCheck(document.admin === undefined ? [] : [document.admin.listen]);
  return (address) => {
    if (isAdmin(address)) return 'POLICY_ADMIN_ADDRESS';
    if (isListener(address)) return 'POLICY_LOOP';
    const { ip, port } = address;
    const hit = refused.some(({ matches, ports }) => matches(ip) && (ports.size === 0 || ports.has(port)));
    return hit ? 'POLICY_REFUSED' : undefined;
  };
}

function guardedTest({ admin, export: exports }: PolicyDocument): PolicySnapshot['isGuarded'] {
  const ports = new Set(exportAddresses(exports).map(({ port }) => port));
  if (admin !== undefined) ports.add(admin.listen.port);
  return (port) => ports.has(port);
}

function revocationLookup({ revocation }: PolicyDocument): PolicySnapshot['revocationMode'] {
  const overrides = revocation.overrides.map(({ hosts, assets, mode }) => ({
    matches: compileHostPatterns(hosts),
    assets: new Set(assets),
    mode,
  }));
  return (host, assetId) =>
    overrides.find(({ matches, assets }) => matches(host) || (assetId !== undefined && assets.has(assetId)))?.mode ??
    revocation.mode;
}

/** No client may read what others said: each relay streams on a port of its own. */
function exportAddresses({ pcapOverIp }: PolicyDocument['export']): readonly ListenAddress[] {
  if (pcapOverIp === undefined) return [];
  const { ip, port } = pcapOverIp;
  return Array.from({ length: limits.relays }, (_, slot) => ({ ip, port: port + slot }));
}

function ownCertificates(document: PolicyDocument): Map<string, OwnCertificate> {
  const certificates = new Map<string, OwnCertificate>();
  const configured = document.listeners.filter((listener): listener is ReverseListener => listener.mode === 'reverse');
  for (const { id, certificate } of configured) {
    if (certificate === undefined) continue;
    const own = { cert: readFileSync(certificate.certFile, 'utf8'), key: readFileSync(certificate.keyFile, 'utf8') };
    // Fails here, at load, when key and certificate do not fit.
    createSecureContext({ ...clientTlsOptions(document.tls.client), ...own });
    certificates.set(id, own);
  }
  return certificates;
}
