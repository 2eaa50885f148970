import { pemOf } from '../pki/pem.ts';
import { Farm } from '../selftest/farm.ts';
import type { FarmOrigin } from '../selftest/farm-origin.ts';
import { openTlsOrigin, pemCredentials } from '../selftest/tls-origin.ts';
import { type FileOrigin, openFileOrigin } from './file-origin.ts';
import { type MailOrigin, openMailOrigin } from './mail-origin.ts';
import { openWebOrigin, type WebOrigin } from './web-origin.ts';

/** Name of every origin of the demo: one that every machine resolves, and that people can type. */
export const originName = 'localhost';

/** Servers of the demo, each on a free port of the loopback, with certificates of a CA that ends with it. */
export interface DemoOrigins extends AsyncDisposable {
  /** PEM of the CA: what the gateway has to trust. */
  readonly rootPem: string;
  readonly web: WebOrigin;
  readonly mail: MailOrigin;
  readonly files: FileOrigin;
  /** A web server whose certificate has expired. */
  readonly expired: FarmOrigin;
}

/** Starts the origins. */
export async function openOrigins(): Promise<DemoOrigins> {
  await using opened = new AsyncDisposableStack();
  const farm = new Farm();
  const issuer = farm.rootOf('Daylight Demo Root');
  const good = farm.leaf({ issuer, names: [originName, '127.0.0.1'] });
  const credentials = pemCredentials(good);
  const web = opened.use(await openWebOrigin(credentials));
  const mail = opened.use(await openMailOrigin(credentials));
  const files = opened.use(await openFileOrigin(credentials));
  // A day ago, after a day.
  const expired = opened.use(await openTlsOrigin(farm.leaf({ issuer, names: [originName], from: -48, until: -24 })));
  const stack = opened.move();
  return {
    rootPem: pemOf('CERTIFICATE', issuer.certificate),
    web,
    mail,
    files,
    expired,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
