import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Ran, run } from './run.ts';

/** Makes a home directory whose NSS database trusts a CA for servers. */
export async function trustingHome(directory: string, caFile: string | undefined): Promise<string> {
  const database = join(directory, '.pki', 'nssdb');
  mkdirSync(database, { recursive: true });
  const certutil = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await run('certutil', ['-d', `sql:${database}`, ...args]);
    if (code !== 0) throw new Error(stderr);
  };
  await certutil('-N', '--empty-password');
  if (caFile !== undefined) await certutil('-A', '-n', 'daylight', '-t', 'C,,', '-i', caFile);
  return directory;
}

/** Why a page was not loaded: older versions say it on standard error, newer ones show a page of their own that names it. */
export function failureIn({ stdout, stderr }: Ran): string | undefined {
  const [, failure] =
    /Page load failed: net::(\w+)/.exec(stderr) ?? /"errorCode":"(?:net::)?(ERR_\w+)"/i.exec(stdout) ?? [];
  return failure;
}

/** Prints the document that Chromium makes of a page, through a proxy on the loopback. */
export function loadPage(from: string, proxyPort: number, url: string): Promise<Ran> {
  return dump(from, url, [
    // Whatever else it wants to know of the world ends at a port that nobody listens on.
    `--proxy-server=https=127.0.0.1:${proxyPort};http=127.0.0.1:9`,
    '--proxy-bypass-list=<-loopback>',
    '--host-rules=MAP * 127.0.0.1:9, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  ]);
}

/** The same without a proxy, where every name leads to the loopback. */
export function loadPublished(from: string, url: string): Promise<Ran> {
  return dump(from, url, ['--no-proxy-server', '--host-resolver-rules=MAP * 127.0.0.1']);
}

function dump(from: string, url: string, network: readonly string[]): Promise<Ran> {
  return run(
    'chromium',
    [
      '--headless',
      // Its sandbox needs namespaces of its own, which are not to be had in every container.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--user-data-dir=${join(from, 'profile')}`,
      ...network,
      '--dump-dom',
      url,
    ],
    { env: { PATH: process.env.PATH, HOME: from }, cwd: from, timeoutMs: 60_000 },
  );
}
