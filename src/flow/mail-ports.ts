import type { Flow } from './flow.ts';

/** Ports of mail: submission, transfer, LMTP, and what is often used in their place. */
const mailPorts: ReadonlySet<number> = new Set([24, 25, 465, 587, 2525]);

/** Ports whose servers greet before their clients speak: FTP too, and not 465, where TLS comes first. */
const greetingPorts: ReadonlySet<number> = new Set([21, 24, 25, 587, 2525]);

/** Where FTP clients wait for a greeting. */
export const filesPort = 21;

/**
 * The port that tells what a client expects: that of its origin, or of the published endpoint where its origin listens at
 * one that tells nothing.
 */
export function tellingPort({ facts, listener }: Pick<Flow, 'facts' | 'listener'>): number {
  const port = facts.destination?.port ?? 0;
  const tells = isGreetingPort(port) || isMailPort(port);
  return listener.mode === 'reverse' && !tells ? listener.listen.port : port;
}

/** Whether a client on a port waits for a greeting. */
export function isGreetingPort(port: number): boolean {
  return greetingPorts.has(port);
}

/** Whether mail is to be expected on a port before anybody has spoken. */
export function isMailPort(port: number): boolean {
  return mailPorts.has(port);
}
