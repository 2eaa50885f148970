import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { FlowFailure } from '../core/failures.ts';
import { type AuthorityState, authorityFiles, certificatesText, readAuthority, withLock } from './authority-files.ts';
import { sealBy } from './issuance-seal.ts';
import { certificatePems, type Issuer } from './issuer.ts';
import { keyText } from './key-protection.ts';
import { createFile, readOwnFile, removeFile, replaceFile } from './private-files.ts';

/** What was done, in sentences for the operator and the log. */
export type AuditLines = readonly string[];

/**
 * Lets a further CA wait beside the active one: clients are to trust both from now on, leafs are issued by the active one
 * until the activation.
 */
export function stageNext(
  directory: string,
  next: Issuer,
  activateAt: number | undefined,
  now: number,
): Promise<AuditLines> {
  return withLock(directory, async () => {
    const state = await present(directory, now);
    if (state.next !== undefined) throw refusal(`a rotation to ${state.next.subject} is already under way`);
    await stage(directory, state, next, activateAt);
    const when =
      activateAt === undefined ? 'when you run `ca rotate --activate`' : `at ${new Date(activateAt).toISOString()}`;
    return [
      `${authorityFiles.certificates} now also holds ${described(next)}`,
      `distribute it to all clients; leafs come from ${described(state.active)} until the activation ${when}`,
    ];
  });
}

/** Makes the waiting CA the active one. Clients go on trusting the earlier one, whose leafs live on for hours. */
export function activateNext(directory: string, now: number): Promise<AuditLines> {
  return withLock(directory, async () => {
    const state = await present(directory, now);
    if (state.next === undefined) throw refusal('no CA waits to be activated');
    await activate(directory, state, state.next);
    return [
      `leafs now come from ${described(state.next)}`,
      `the key of ${described(state.active)} is deleted; its certificate stays in ${authorityFiles.certificates} until \`ca rotate --finish\``,
    ];
  });
}

/** Drops the certificates of earlier CAs from what clients trust. */
export function finishRotation(directory: string, now: number): Promise<AuditLines> {
  return withLock(directory, async () => {
    const state = await present(directory, now);
    if (state.next !== undefined) throw refusal(`${state.next.subject} waits to be activated or cancelled first`);
    const seal = await finish(directory, state);
    return [
      ...seal,
      `${authorityFiles.certificates} holds ${described(state.active)} and its chain alone: ${state.others.length} removed`,
    ];
  });
}

/** Gives up the waiting CA and deletes its key. */
export function cancelRotation(directory: string, now: number): Promise<AuditLines> {
  return withLock(directory, async () => {
    const state = await present(directory, now);
    if (state.next === undefined) throw refusal('no CA waits to be activated');
    await sweepNext(directory);
    await writeCertificates(directory, { ...state, next: undefined });
    return [`${described(state.next)} is given up and its key deleted`];
  });
}

/** Puts a CA in the place of the active one at once: clients that do not trust it yet will refuse its leafs. */
export function replaceAuthority(directory: string, issuer: Issuer, now: number): Promise<AuditLines> {
  return withLock(directory, async () => {
    const state = await present(directory, now);
    // By the same steps as a rotation, each of which leaves a directory that can be read.
    await stage(directory, { ...state, next: undefined }, issuer, undefined);
    await activate(directory, state, issuer);
    const seal = await finish(directory, await present(directory, now));
    const removed = `${described(state.active)} is removed and its key deleted`;
    return [...seal, `leafs now come from ${described(issuer)}`, removed];
  });
}

/** Puts a CA into a directory that has none. */
export function placeFirst(directory: string, issuer: Issuer): Promise<AuditLines> {
  return withLock(directory, async () => {
    const keyPath = join(directory, authorityFiles.key);
    if ((await readOwnFile(keyPath, true)) !== undefined) throw refusal(`${keyPath} is there already`);
    const seal = await sealed(directory, [issuer.pem], issuer);
    await writeCertificates(directory, { active: issuer, next: undefined, activateAt: undefined, others: [] });
    if (!(await createFile(keyPath, keyText(issuer.key, keyPath), 0o600))) throw refusal(`${keyPath} is there already`);
    return [...seal, `leafs come from ${described(issuer)}`];
  });
}

async function stage(
  directory: string,
  state: AuthorityState,
  next: Issuer,
  activateAt: number | undefined,
): Promise<void> {
  await sweepNext(directory);
  await writeCertificates(directory, { ...state, next });
  await replaceFile(join(directory, authorityFiles.nextCertificates), [next.pem, ...next.chain].join(''), 0o644);
  if (activateAt !== undefined) {
    await replaceFile(join(directory, authorityFiles.nextActivation), `${new Date(activateAt).toISOString()}\n`, 0o644);
  }
  const keyPath = join(directory, authorityFiles.nextKey);
  await replaceFile(keyPath, keyText(next.key, keyPath), 0o600);
}

async function activate(directory: string, state: AuthorityState, next: Issuer): Promise<void> {
  const { active, others } = state;
  await writeCertificates(directory, { ...state, next });
  // The one step that decides: from here on the key fits the new certificate, which ca.pem holds already.
  await rename(join(directory, authorityFiles.nextKey), join(directory, authorityFiles.key));
  const kept = [active.pem, ...active.chain, ...others];
  await writeCertificates(directory, { active: next, next: undefined, activateAt: undefined, others: kept });
  await sweepNext(directory);
}

async function finish(directory: string, state: AuthorityState): Promise<AuditLines> {
  const { active, others } = state;
  const lines = await sealed(directory, [active.pem, ...active.chain, ...others], active);
  await writeCertificates(directory, { ...state, others: [] });
  return lines;
}

/** The issuance log goes on under the CA that stays. What no known CA has sealed is left for an operator to look at. */
async function sealed(directory: string, certificates: readonly string[], issuer: Issuer): Promise<AuditLines> {
  const fault = await sealBy(issuer, directory, certificates);
  return fault === undefined
    ? []
    : [`the issuance log is not sealed anew: ${fault}; the gateway will say so, see docs/ca.md`];
}

async function sweepNext(directory: string): Promise<void> {
  for (const name of [authorityFiles.nextKey, authorityFiles.nextCertificates, authorityFiles.nextActivation]) {
    await removeFile(join(directory, name));
  }
}

async function writeCertificates(directory: string, state: AuthorityState): Promise<void> {
  const text = certificatesText(state);
  // Read back as it will be: nothing that cannot be parsed ever takes the place of what clients trust.
  certificatePems(text, authorityFiles.certificates);
  await replaceFile(join(directory, authorityFiles.certificates), text, 0o644);
}

async function present(directory: string, now: number): Promise<AuthorityState> {
  const state = await readAuthority(directory, now);
  if (state === undefined) throw refusal(`${directory} holds no authority`);
  return state;
}

function described(issuer: Issuer): string {
  return `${issuer.subject} (SHA-256 ${issuer.fingerprint256.slice(0, 16)})`;
}

function refusal(detail: string): FlowFailure {
  return new FlowFailure('GATEWAY_AUTHORITY_KEY', detail);
}
