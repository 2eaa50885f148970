import type { ListenAddress } from '../core/policy.ts';
import type { Config, ListenerConfig } from './schema.ts';
import type { Source } from './source.ts';
import { hint } from './wording.ts';

/** Checks what no single key can tell: that ids are unique, that references lead somewhere, that entries say something. */
export function crossCheck(config: Config, source: Source): void {
  checkAddresses(config, source);
  for (const listener of config.listeners) checkListener(listener, config, source);
  checkBypass(config, config.bypass, source);
  for (const entry of config.refuse) {
    if (entry.hosts.length + entry.addresses.length + entry.ports.length === 0 && source.isSound(entry)) {
      source.report(entry, [], 'refuses nothing: give hosts, addresses or ports');
    }
  }
  if (config.upstream !== undefined) checkRefusedByAddress(config, source);
  for (const entry of [...config.revocation.overrides, ...config.originClientCertificates.certificates]) {
    if (entry.hosts.length + entry.assets.length === 0 && source.isSound(entry)) {
      source.report(entry, [], 'fits nothing: give hosts or assets');
    }
    entry.assets.forEach((id, index) => {
      checkAssetId(config, source, entry, ['assets', index], id);
    });
  }
  checkScanners(config, source);
  checkAssets(config, source);
  const { pcapOverIp } = config.export;
  if (pcapOverIp !== undefined && !isLoopback(pcapOverIp.ip)) {
    source.report(config.export, ['pcapOverIp'], 'gives decrypted traffic to whoever connects: use a loopback address');
  }
}

/** Nothing silent about what the proxy alone can tell. */
function checkRefusedByAddress({ refuse }: Config, source: Source): void {
  for (const entry of refuse.filter(({ addresses }) => addresses.length > 0)) {
    source.warn(
      entry,
      ['addresses'],
      'are refused where a client names an address; names are resolved by the upstream proxy: refuse them there too',
    );
  }
}

/** Entries of the configuration, or of a file that it names. */
export function checkBypass(config: Config, entries: Config['bypass'], source: Source): void {
  for (const entry of entries) {
    const { hosts, addresses, assets } = entry;
    if (hosts.length + addresses.length + assets.length === 0 && source.isSound(entry)) {
      source.report(entry, [], 'exempts nothing: give hosts, addresses or assets');
    }
    assets.forEach((id, index) => {
      checkAssetId(config, source, entry, ['assets', index], id);
    });
  }
}

function checkScanners(config: Config, source: Source): void {
  config.scanners.forEach((scanner, index) => {
    if (config.scanners.findIndex(({ id }) => id === scanner.id) !== index) {
      source.report(scanner, ['id'], `scanner "${scanner.id}" stands here twice`);
    }
    scanner.assets.forEach((id, at) => {
      checkAssetId(config, source, scanner, ['assets', at], id);
    });
  });
}

type ReverseOrigin = Extract<ListenerConfig, { readonly mode: 'reverse' }>['origin'];

function checkListener(listener: ListenerConfig, config: Config, source: Source): void {
  if (listener.mode === 'transparent' && listener.spoofClient && listener.capture !== 'tproxy') {
    source.report(listener, ['spoofClient'], 'works only with capture: tproxy');
  }
  if (listener.mode === 'reverse' && listener.asset !== undefined) {
    checkAssetId(config, source, listener, ['asset'], listener.asset);
  }
  if (listener.mode === 'reverse' && leadsToUs(listener.origin, config)) {
    source.warn(listener, ['origin'], 'is this gateway itself: every connection will be refused (POLICY_LOOP)');
  }
  if (listener.proxyProtocol !== 'off' && listener.trustedProxies.length === 0 && source.isSound(listener)) {
    source.report(listener, ['trustedProxies'], 'trusts nobody, so that no PROXY protocol header is believed');
  }
  if (listener.mode === 'explicit' && listener.credentials.length === 0 && !isLoopback(listener.listen.ip)) {
    source.warn(listener, ['listen'], 'everyone who reaches this address may use the proxy: consider credentials');
  }
}

function leadsToUs({ host, port }: ReverseOrigin, { listeners, admin }: Config): boolean {
  return [...listeners, ...(admin === undefined ? [] : [admin])].some(({ listen }) => {
    const isEverywhere = listen.ip === '0.0.0.0' || listen.ip === '::';
    const isHere = host === 'localhost' ? isLoopback(listen.ip) : host === listen.ip;
    return listen.port === port && (isHere || (isEverywhere && (host === 'localhost' || isLoopback(host))));
  });
}

/** Two sockets that would take the same connections cannot both listen. */
function checkAddresses({ listeners, admin }: Config, source: Source): void {
  const taken = [...listeners, ...(admin === undefined ? [] : [admin])];
  taken.forEach((later, index) => {
    const earlier = taken.slice(0, index).find((other) => overlap(other.listen, later.listen));
    if (earlier === undefined) return;
    source.report(later, ['listen'], `takes the same connections as ${addressText(earlier.listen)} above`);
  });
}

function overlap(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port !== b.port) return false;
  // Port 0 gives each its own port, but the id of a listener is its address.
  if (a.port === 0) return a.ip === b.ip;
  // `::` takes IPv4 connections too.
  if (a.ip === b.ip || a.ip === '::' || b.ip === '::') return true;
  return a.ip.includes(':') === b.ip.includes(':') && (a.ip === '0.0.0.0' || b.ip === '0.0.0.0');
}

function checkAssets({ assets, listeners }: Config, source: Source): void {
  const named = new Set(listeners.map((listener) => (listener.mode === 'reverse' ? listener.asset : undefined)));
  assets.forEach((asset, index) => {
    if (firstOf(assets).get(asset.id) !== index) {
      source.report(asset, ['id'], `asset "${asset.id}" stands here twice`);
    }
    if (asset.addresses.length + asset.hosts.length === 0 && !named.has(asset.id) && source.isSound(asset)) {
      source.report(asset, [], 'fits no flow: give addresses or hosts, or name it in a reverse listener');
    }
  });
}

function checkAssetId(
  { assets }: Config,
  source: Source,
  about: object,
  below: readonly (string | number)[],
  id: string,
): void {
  // An asset that was left out as wrong has been reported; that it is missing here would be an echo.
  if (source.problems.some(({ path }) => path.startsWith('assets'))) return;
  if (firstOf(assets).has(id)) return;
  const ids = assets.map((asset) => asset.id);
  source.report(about, below, `no asset has the id "${id}"${hint(id, ids)}`);
}

/** Where each id stands first. Assets are tens of thousands in a large policy: a search for each would take minutes. */
function firstOf(assets: Config['assets']): ReadonlyMap<string, number> {
  const known = firstPlaces.get(assets);
  if (known !== undefined) return known;
  const places = new Map<string, number>();
  for (const [index, { id }] of assets.entries()) if (!places.has(id)) places.set(id, index);
  firstPlaces.set(assets, places);
  return places;
}

const firstPlaces = new WeakMap<Config['assets'], ReadonlyMap<string, number>>();

function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.');
}

/** An address as it is written in the file. */
export function addressText({ ip, port }: ListenAddress): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
