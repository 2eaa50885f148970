import { createHash } from 'node:crypto';
import type { ExplicitListener, UpstreamPolicy } from '../core/policy.ts';
import type { InputFiles } from './input-files.ts';
import type { Config } from './schema.ts';
import type { Source } from './source.ts';

type ExplicitConfig = Extract<Config['listeners'][number], { readonly mode: 'explicit' }>;
type UpstreamConfig = NonNullable<Config['upstream']>;

/** The users of an explicit listener. Passwords are hashed at once: only digests stay in memory. */
export function credentialsOf(
  listener: ExplicitConfig,
  source: Source,
  inputs: InputFiles,
): ExplicitListener['credentials'] {
  return listener.credentials.map((credential) => {
    const { user, password, passwordFile } = credential;
    if ((password === undefined) === (passwordFile === undefined) && source.isSound(credential)) {
      source.report(credential, [], 'give either password or passwordFile');
    }
    if (listener.credentials.findIndex((other) => other.user === user) !== listener.credentials.indexOf(credential)) {
      source.report(credential, ['user'], 'this user stands here twice');
    }
    const secret = password ?? passwordIn(credential, passwordFile, source, inputs) ?? '';
    return { user, passwordSha256: createHash('sha256').update(secret).digest('hex') };
  });
}

/** The proxy before the gateway, with its credentials in plain text, because it is told them. */
export function upstreamOf(upstream: UpstreamConfig, source: Source, inputs: InputFiles): UpstreamPolicy {
  const { host, port, user, password } = upstream.proxy;
  const { passwordFile, except } = upstream;
  if (password !== undefined && passwordFile !== undefined) {
    source.report(upstream, ['passwordFile'], 'the URL holds a password already');
  }
  if (user === undefined && (password ?? passwordFile) !== undefined) {
    source.report(upstream, ['proxy'], 'has a password but no user: write http://user@host:port');
  }
  const secret = password ?? passwordIn(upstream, passwordFile, source, inputs) ?? '';
  return { proxy: { host, port }, credentials: user === undefined ? undefined : { user, password: secret }, except };
}

/** First line of a password file. Editors end it with a line feed, and Kubernetes mounts it without one. */
function passwordIn(about: object, path: string | undefined, source: Source, inputs: InputFiles): string | undefined {
  if (path === undefined) return undefined;
  const file = inputs.read(path);
  if (file.kind === 'unreadable') return source.report(about, ['passwordFile'], `${path} ${file.message}`) ?? undefined;
  const password = file.text.split(/\r?\n/, 1)[0] ?? '';
  if (password === '' || Buffer.byteLength(password) > 255) {
    source.report(about, ['passwordFile'], `${path} must hold a password of 1 to 255 bytes in its first line`);
  }
  return password;
}
