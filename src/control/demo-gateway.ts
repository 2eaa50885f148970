import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type DemoOrigins, openOrigins, originName } from '../demo/demo-origins.ts';
import type { DemoScene } from '../demo/demo-step.ts';
import { startOwnGateway } from './own-gateway.ts';

/** The rules that the demo is about. */
export const demoRules = resolve(import.meta.dirname, '../../config/demo/rules.yaml');

export interface DemoStart {
  /** Everything that is written goes here. */
  readonly directory: string;
  /** In place of the demo's own rules. */
  readonly rulesFile?: string | undefined;
  /** Settings of the gateway besides those of the demo. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env: NodeJS.ProcessEnv;
  readonly abort: AbortSignal;
}

/** Gateway and origins of a demo, all of this process and on the loopback. */
export interface Demo extends DemoScene, AsyncDisposable {
  readonly caFile: string;
  /** The gateway watches it: it may be changed while the demo is kept. */
  readonly rulesFile: string;
  /** Resolves when the gateway has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

/** Starts origins and a gateway in front of them. Throws FlowFailure when the gateway does not start. */
export async function startDemo(start: DemoStart): Promise<Demo> {
  const { directory, env, abort } = start;
  await using opened = new AsyncDisposableStack();
  const origins = opened.use(await openOrigins());
  const rootFile = join(directory, 'origin-root.pem');
  writeFileSync(rootFile, origins.rootPem);
  const rulesFile = start.rulesFile === undefined ? ownCopy(directory) : resolve(start.rulesFile);
  const gateway = await startOwnGateway({
    directory,
    config: { ...configOf(directory, rootFile, rulesFile), ...start.config },
    published: [published(origins.mail), published(origins.files)],
    env,
    abort,
  });
  opened.defer(() => gateway.stop());
  const [mail = gateway.proxy, files = gateway.proxy] = gateway.published;
  const caFile = join(directory, 'certs', 'ca.pem');
  const stack = opened.move();
  return {
    origins,
    gateway: { proxy: gateway.proxy, mail, files },
    ca: readFileSync(caFile, 'utf8'),
    caFile,
    rulesFile,
    records: { directory: join(directory, 'records'), patienceMs: 5_000 },
    ended: gateway.ended,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A copy, so that a user who changes it changes nothing here. */
function ownCopy(directory: string): string {
  const copy = join(directory, 'rules.yaml');
  copyFileSync(demoRules, copy);
  return copy;
}

function published({ port }: DemoOrigins['mail' | 'files']): Readonly<Record<string, unknown>> {
  return { origin: `127.0.0.1:${port}`, originName };
}

/** Nothing is read from or written to the directory of the user. */
function configOf(directory: string, rootFile: string, rulesFile: string): Readonly<Record<string, unknown>> {
  return {
    authority: { directory: join(directory, 'certs') },
    originTrust: { system: false, files: [rootFile] },
    revocation: { directory: join(directory, 'revocation') },
    records: { directory: join(directory, 'records') },
    rules: { files: [rulesFile] },
    mail: { requireTls: true },
    files: { requireTls: true },
  };
}
