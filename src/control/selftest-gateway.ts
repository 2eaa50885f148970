import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedConfig } from '../config/load.ts';
import type { ListenAddress } from '../core/policy.ts';
import { loadOrCreateAuthority } from '../pki/authority.ts';
import { certificatesInPem } from '../pki/pem.ts';
import { type FarmIssuer, farmAddress } from '../selftest/farm.ts';
import { farmKeyOf } from '../selftest/farm-key.ts';
import type { FlowPorts } from '../selftest/probe.ts';
import { runningGateway } from './exec-gateway.ts';
import { startOwnGateway } from './own-gateway.ts';
import { RecordedCodes, recordedCodes } from './recorded-codes.ts';
import { writtenConfig } from './written-config.ts';

/** A gateway under test. */
export interface TestedGateway {
  readonly description: string;
  readonly proxy: ListenAddress;
  /** Its CA (PEM). */
  readonly ca: string;
  /** Codes of its records, once those of all these flows are there; empty where they cannot be read. */
  codes(flows: readonly FlowPorts[]): Promise<RecordedCodes>;
  stop(): Promise<void>;
}

/** Time that records may take to be written. */
const recordsMs = 5_000;
/** In place of what is configured for the handshake: two origins of the farm stall it on purpose. */
const handshakeLimit = '3s';

/** The gateway that runs by a configuration; undefined when none answers. */
export async function testRunning(config: LoadedConfig): Promise<TestedGateway | undefined> {
  const running = await runningGateway(config);
  if (running === undefined) return undefined;
  const { proxy } = running;
  return tested({
    description: `the gateway that runs at ${proxy.ip}:${proxy.port}`,
    proxy,
    ca: readFileSync(join(running.authorityDirectory, 'ca.pem'), 'utf8'),
    records: config.policy.records.directory,
    stop: async () => undefined,
  });
}

export interface OwnTestOptions {
  /** Its temporary files go here. */
  readonly directory: string;
  readonly configFile: string | undefined;
  /** Roots of the farm, which it trusts beside those of the configuration. */
  readonly rootsPem: string;
  readonly env: NodeJS.ProcessEnv;
  readonly abort: AbortSignal;
}

/** Makes the CA of a gateway that is to be tested before it starts, so that the farm can misuse it. */
export async function ownAuthority(directory: string): Promise<FarmIssuer> {
  const { subjectDer, key, pem } = (await loadOrCreateAuthority(join(directory, 'certs'))).active;
  const [certificate = Buffer.alloc(0)] = certificatesInPem(pem);
  return { subject: subjectDer, key: farmKeyOf(key), certificate, chain: [certificate] };
}

/**
 * Starts a gateway by the part of the configuration that judges origins. What decides whether an origin is judged at all,
 * or reached, would keep the client from the farm; CA and records are its own.
 */
export async function testOwn({ configFile, directory, rootsPem, env, abort }: OwnTestOptions): Promise<TestedGateway> {
  const roots = join(directory, 'selftest-roots.pem');
  writeFileSync(roots, rootsPem);
  const written = configFile === undefined ? {} : writtenConfig(configFile);
  const { assets, defaults: _d, bypass: _b, refuse: _r, upstream: _u, rules: _s, admin: _m, ...judging } = written;
  const trust = judging.originTrust as { readonly files?: readonly string[] } | undefined;
  const config = {
    ...judging,
    ...(assets === undefined ? {} : { assets: (assets as readonly Asset[]).map(outOfReach) }),
    authority: { directory: join(directory, 'certs') },
    records: { directory: join(directory, 'records') },
    originTrust: { ...trust, files: [...(trust?.files ?? []), roots] },
    revocation: {
      ...(judging.revocation as object | undefined),
      directory: join(directory, 'revocation'),
      // Where CAs of the farm publish.
      allowAddresses: [`${farmAddress}/32`],
    },
    timeouts: { ...(judging.timeouts as object | undefined), handshake: handshakeLimit },
  };
  const { proxy, stop } = await startOwnGateway({ directory, config, env, abort });
  return tested({
    description: configFile === undefined ? 'a gateway with default settings' : `a gateway as ${configFile} says`,
    proxy,
    ca: readFileSync(join(directory, 'certs', 'ca.pem'), 'utf8'),
    records: join(directory, 'records'),
    stop,
  });
}

interface Asset {
  readonly id: string;
  readonly kind: string;
}

/** Other entries may name an asset: it stays, with an address for documentation (RFC 5737) that no flow of the test has. */
function outOfReach({ id, kind }: Asset): object {
  return { id, kind, addresses: ['192.0.2.0/32'] };
}

function tested({ records, ...gateway }: Omit<TestedGateway, 'codes'> & { readonly records: string }): TestedGateway {
  const startMs = Date.now();
  return {
    ...gateway,
    async codes(flows) {
      for (let waitedMs = 0; ; waitedMs += 100) {
        const found = codesIn(records, startMs);
        if (found === undefined) return new RecordedCodes();
        if (flows.every((flow) => found.has(flow)) || waitedMs >= recordsMs) return found;
        await sleep(100);
      }
    },
  };
}

/** Undefined where this user may not read them. */
function codesIn(records: string, sinceMs: number): RecordedCodes | undefined {
  try {
    return recordedCodes(records, sinceMs);
  } catch {
    return undefined;
  }
}
