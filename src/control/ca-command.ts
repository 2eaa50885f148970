import { FlowFailure } from '../core/failures.ts';
import { type Authority, loadAuthority, loadOrCreateAuthority } from '../pki/authority.ts';
import { exportCertificates, exportWithKey } from '../pki/authority-export.ts';
import { readAuthority } from '../pki/authority-files.ts';
import { issuerFromPem, issuerFromPkcs12 } from '../pki/authority-import.ts';
import {
  type AuditLines,
  activateNext,
  cancelRotation,
  finishRotation,
  placeFirst,
  replaceAuthority,
  stageNext,
} from '../pki/authority-rotation.ts';
import { auditIssuanceLog } from '../pki/issuance-log.ts';
import { certifyRoot, type Issuer, makeKey, uniqueCommonName } from '../pki/issuer.ts';
import { ensurePrivateDirectory, exposureOf, readNamedFile, replaceFile } from '../pki/private-files.ts';
import { auditIssuance } from './ca-audit.ts';
import { createIntermediate } from './ca-intermediate.ts';
import {
  authorityDirectory,
  type CaAction,
  type CaOptions,
  oneOf,
  parseCaArguments,
  readPassword,
  readTime,
  UsageError,
  written,
} from './ca-options.ts';
import { authorityFacts, authorityText, issuerWarnings } from './ca-show.ts';
import type { CommandIo } from './command-io.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';

export const caHelp = `Usage: daylight ca ACTION [options]

The certificate authority that leafs are issued by. It is made on the first start of the gateway.

Actions:
  show [--json]                       subject, fingerprint, validity, key, rotation
  create [--key-type rsa|ec]          make it now, if there is none
  create --intermediate --root-out FILE --password-file FILE [--permit HOST]... [--key-type rsa|ec]
                                      make an intermediate that signs leafs, for HOST and all below it alone, under a root
                                      whose encrypted key goes to FILE, to be kept offline
  export [--format pem|der|p12] [--out FILE] [--password-file FILE]
                                      what clients are to trust, to standard output or FILE; p12 needs a password
  export --with-key --format pem|p12 --password-file FILE [--out FILE]
                                      a backup: certificate and encrypted key
  import --cert FILE --key FILE [--chain FILE] [--password-file FILE]
  import --p12 FILE [--password-file FILE]
                                      an enterprise CA; beside an authority that is in use, with one of
         --rotate [--activate-at TIME]  as the next one, so that clients can learn it first
         --replace                      at once
  rotate [--key-type rsa|ec] [--activate-at TIME]
                                      make the next authority; clients get both certificates
  rotate --activate | --cancel        issue by the next one from now on; give it up
  rotate --finish                     stop trusting the earlier ones
  issued [--json]                     count issued leafs and check the chain of their log
  audit [--json] [--seal FILE]        the same, and that no line was cut off its end since the authority last sealed it
                                      (every 10 seconds), or since the seal in FILE, a copy of issued.seal kept elsewhere

Options:
  --directory DIR   the authority's directory; else authority.directory of the configuration
  --passphrase-file FILE
                    passphrase of the keys, where the configuration does not name it
  --config FILE     configuration (default config/daylight.yaml)
  --help            this text

A running gateway follows within seconds, by itself. Passwords are read from the first line of a file, never from arguments.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration not valid, 5 authority cannot be used.
`;

type Output = Pick<CommandIo, 'stdout' | 'stderr'>;

/** The \`ca\` command: resolves with the exit code. */
export async function runCa(args: readonly string[], io: Output): Promise<number> {
  try {
    const { action, values } = parseCaArguments(args);
    if (action === undefined) io.stdout.write(caHelp);
    else await run(action, values, io);
    return exitCodes.ok;
  } catch (error) {
    return explain(error, io);
  }
}

function explain(error: unknown, io: Output): number {
  if (error instanceof UsageError) {
    io.stderr.write(`daylight ca: ${error.message}\nRun \`daylight ca --help\`.\n`);
    return exitCodes.usage;
  }
  // Options that there are not: told by whoever runs commands, as for all of them.
  if ((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) throw error;
  const text =
    error instanceof FlowFailure ? `${error.code}: ${error.detail}` : error instanceof Error ? error.message : '';
  io.stderr.write(`daylight ca: ${text}\n`);
  return error instanceof FlowFailure ? exitCodeOf(error.code) : exitCodes.failed;
}

async function run(action: CaAction, values: CaOptions, io: Output): Promise<void> {
  const directory = await authorityDirectory(values);
  const now = Date.now();
  switch (action) {
    case 'show':
      return show(await loadAuthority(directory, now), values, now, io);
    case 'create': {
      if (values.intermediate) return report(await createIntermediate(directory, values, now), io);
      const { changes, active } = await loadOrCreateAuthority(directory, { keyType: keyTypeOf(values), now });
      return report(changes.length === 0 ? [`${active.subject} is there already`] : changes, io);
    }
    case 'export':
      return write(await exported(await loadAuthority(directory, now), values), values, io);
    case 'import':
      return report(await importInto(directory, values, now, io), io);
    case 'rotate':
      return report(await rotate(directory, values, now, io), io);
    case 'issued':
      return issued(directory, values, io);
    case 'audit':
      return audit(directory, values, io);
  }
}

function show(authority: Authority, values: CaOptions, now: number, io: Output): void {
  const text = values.json
    ? `${JSON.stringify(authorityFacts(authority, now), null, 2)}\n`
    : authorityText(authority, now);
  io.stdout.write(text);
}

async function exported(authority: Authority, values: CaOptions): Promise<Buffer> {
  const format = oneOf('format', values.format ?? 'pem', ['pem', 'der', 'p12']);
  if (!values['with-key']) {
    return exportCertificates(
      authority,
      format,
      format === 'p12' ? await readPassword(values['password-file'], 'p12') : '',
    );
  }
  if (format === 'der') throw new UsageError('DER holds no key: use --format pem or p12');
  return exportWithKey(authority, format, await readPassword(values['password-file'], '--with-key'));
}

async function write(content: Buffer, values: CaOptions, io: Output): Promise<void> {
  if (values.out === undefined || values.out === '-') io.stdout.write(content);
  // Certificates are public; a key, even an encrypted one, is its owner's alone.
  else await written(values.out, replaceFile(values.out, content, values['with-key'] ? 0o600 : 0o644));
}

async function importInto(directory: string, values: CaOptions, now: number, io: Output): Promise<AuditLines> {
  const issuer = await importedIssuer(values, now);
  const lines = await place(issuer, directory, values, now);
  warn(issuer, io);
  for (const path of [values.p12, values.key, values['password-file']])
    if (path !== undefined) await warnOfExposure(path, io);
  return lines;
}

/** The copy in the directory is closed; the file that it came from is the operator's to close or to remove. */
async function warnOfExposure(path: string, io: Output): Promise<void> {
  const exposure = await exposureOf(path);
  if (exposure !== undefined)
    io.stderr.write(`daylight ca: warning: ${exposure}: other users of this machine may have read it\n`);
}

async function place(issuer: Issuer, directory: string, values: CaOptions, now: number): Promise<AuditLines> {
  const activateAt = readTime(values['activate-at']);
  if (values.replace && values.rotate) throw new UsageError('--replace and --rotate exclude each other');
  if (activateAt !== undefined && !values.rotate) throw new UsageError('--activate-at belongs to --rotate');
  await ensurePrivateDirectory(directory);
  if (values.rotate) return stageNext(directory, issuer, activateAt, now);
  if (values.replace) return replaceAuthority(directory, issuer, now);
  const present = await readAuthority(directory, now).catch(() => undefined);
  if (present === undefined) return placeFirst(directory, issuer);
  throw new UsageError(
    `${present.active.subject} is in use: say --rotate (clients learn the new one first) or --replace`,
  );
}

async function importedIssuer(values: CaOptions, now: number): Promise<Issuer> {
  const { p12, cert, key, chain, 'password-file': passwordFile } = values;
  if (p12 !== undefined) {
    if (cert !== undefined || key !== undefined || chain !== undefined)
      throw new UsageError('--p12 excludes PEM files');
    const password = passwordFile === undefined ? undefined : await readPassword(passwordFile, '--p12');
    return issuerFromPkcs12(await readNamedFile(p12), password, p12, now);
  }
  if (cert === undefined || key === undefined) throw new UsageError('import needs --cert and --key, or --p12');
  const texts = await Promise.all([cert, key, ...(chain === undefined ? [] : [chain])].map(readNamedFile));
  const [certText = '', keyText = '', chainText = ''] = texts.map((text) => text.toString('latin1'));
  return issuerFromPem(
    {
      certificates: { text: `${certText}\n${chainText}`, from: chain === undefined ? cert : `${cert} and ${chain}` },
      key: { text: keyText, from: key },
      password: passwordFile === undefined ? undefined : await readPassword(passwordFile, '--key'),
    },
    now,
  );
}

async function rotate(directory: string, values: CaOptions, now: number, io: Output): Promise<AuditLines> {
  const steps = [values.activate, values.finish, values.cancel].filter(Boolean).length;
  const activateAt = readTime(values['activate-at']);
  if (steps > 1 || (steps === 1 && activateAt !== undefined)) throw new UsageError('one step at a time');
  if (values.activate) return activateNext(directory, now);
  if (values.finish) return finishRotation(directory, now);
  if (values.cancel) return cancelRotation(directory, now);
  const issuer = await certifyRoot(uniqueCommonName(), await makeKey(keyTypeOf(values)), now);
  warn(issuer, io);
  return stageNext(directory, issuer, activateAt, now);
}

function warn(issuer: Issuer, io: Output): void {
  for (const warning of issuerWarnings(issuer)) io.stderr.write(`daylight ca: warning: ${warning}\n`);
}

async function issued(directory: string, values: CaOptions, io: Output): Promise<void> {
  const audit = await auditIssuanceLog(directory);
  if (values.json) io.stdout.write(`${JSON.stringify({ lines: audit.lines, brokenAt: audit.brokenAt ?? null })}\n`);
  else io.stdout.write(`${counted(audit.lines)} in the issuance log of ${directory}\n`);
  if (audit.brokenAt !== undefined) {
    throw new Error(`line ${audit.brokenAt} does not follow from the one before it: the log was changed or cut`);
  }
}

async function audit(directory: string, values: CaOptions, io: Output): Promise<void> {
  const { lines, sealedAt, unsealed, fault } = await auditIssuance(directory, values.seal);
  const facts = { lines, sealedAt: sealedAt ?? null, unsealed, fault: fault ?? null };
  const seal = sealedAt === undefined ? 'no seal' : `sealed ${sealedAt}, ${unsealed} since`;
  io.stdout.write(values.json ? `${JSON.stringify(facts)}\n` : `${counted(lines)} in the issuance log, ${seal}\n`);
  if (fault !== undefined) throw new Error(fault);
}

function counted(lines: number): string {
  return `${lines} line${lines === 1 ? '' : 's'}`;
}

function keyTypeOf(values: CaOptions): 'rsa' | 'ec' {
  return oneOf('key-type', values['key-type'] ?? 'rsa', ['rsa', 'ec']);
}

function report(lines: AuditLines, io: Output): void {
  for (const line of lines) io.stdout.write(`${line}\n`);
}
