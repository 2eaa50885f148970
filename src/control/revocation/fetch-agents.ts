import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import { createGuardedConnect } from './destination-guard.ts';
import type { RevocationSettings } from './revocation-settings.ts';

/** What fetches are dispatched to: straight, and through the upstream proxy where there is one. */
export interface FetchAgents {
  readonly direct: Dispatcher;
  readonly proxy: Dispatcher | undefined;
}

/** Makes them. Imported with the first fetch: undici holds 6 MB, which a gateway that fetches nothing need not have. */
export function createFetchAgents(settings: RevocationSettings): FetchAgents {
  const { upstream } = settings;
  return {
    direct: new Agent({
      connect: createGuardedConnect(settings),
      pipelining: 1,
      keepAliveTimeout: 1_000,
      maxHeaderSize: 16_384,
    }),
    proxy: upstream === undefined ? undefined : proxyAgent(upstream),
  };
}

function proxyAgent({ proxy, credentials }: NonNullable<RevocationSettings['upstream']>): ProxyAgent {
  const host = proxy.host.includes(':') ? `[${proxy.host}]` : proxy.host;
  const basic = (user: string, password: string): string => Buffer.from(`${user}:${password}`).toString('base64');
  return new ProxyAgent({
    uri: `http://${host}:${proxy.port}`,
    // Proxies seldom allow CONNECT to port 80: http is asked of them in absolute form.
    proxyTunnel: false,
    ...(credentials === undefined ? {} : { token: `Basic ${basic(credentials.user, credentials.password)}` }),
  });
}
