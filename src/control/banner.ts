import { join, relative } from 'node:path';
import type { ListenerPolicy } from '../core/policy.ts';
import type { LoadedPolicy } from './policy-source.ts';

/** What a user reads after start: what listens, where the CA and the records are, and a line to try. `command` is how Daylight is called. */
export function banner({ document, config, authority }: LoadedPolicy, command: string): string {
  const certificate = relativeTo(join(config.authorityDirectory, 'ca.pem'));
  const lines = [
    '',
    '  Daylight is up.',
    '',
    ...document.listeners.map((listener) => row(listener.mode, describe(listener))),
    ...(document.admin === undefined
      ? []
      : [row('admin', `http://${addressOf(document.admin.listen)}  /health /metrics`)]),
    row('CA', `${certificate}  (SHA-256 ${authority.active.fingerprint256.slice(0, 16)}…)`),
    row('records', `${relativeTo(document.records.directory)}  (${command} logs --follow)`),
    row('rules', `${document.rules.length}  (policy ${document.version})`),
    '',
    ...trial(document.listeners, certificate, command),
    '  Ctrl-C stops it.',
    '',
  ];
  return `${lines.join('\n')}\n`;
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(12)} ${value}`;
}

function describe(listener: ListenerPolicy): string {
  const address = addressOf(listener.listen);
  switch (listener.mode) {
    case 'explicit':
      return `${address}  HTTP CONNECT, absolute-form HTTP, SOCKS5`;
    case 'transparent':
      return `${address}  ${listener.capture}${listener.spoofClient ? ', client address kept' : ''}`;
    case 'reverse':
      return `${address}  to ${listener.origin.host}:${listener.origin.port}`;
  }
}

function trial(listeners: readonly ListenerPolicy[], certificate: string, command: string): string[] {
  const explicit = listeners.find(({ mode }) => mode === 'explicit');
  // A transparent listener hears nothing until the kernel is told.
  if (explicit === undefined && listeners.some(({ mode }) => mode === 'transparent'))
    return [`  Next:  ${command} net up --help  (sends traffic here)`];
  if (explicit === undefined) return [];
  const { ip, port } = explicit.listen;
  const address = addressOf({ ip: ip === '0.0.0.0' || ip === '::' ? '127.0.0.1' : ip, port });
  return [`  Try:  curl --proxy http://${address} --cacert ${certificate} https://example.com/`];
}

function addressOf({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Short where the file is below the working directory, so that the line can be pasted. */
function relativeTo(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short || '.';
}
