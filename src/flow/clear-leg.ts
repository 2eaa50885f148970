import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { FlowFailure } from '../core/failures.ts';
import type { Side } from '../core/side.ts';
import { ClearableTransport } from '../net/clearable-transport.ts';
import type { Flow } from './flow.ts';
import type { PolicySnapshot } from './policy-snapshot.ts';

/** Whether TLS on control connections of files may end in mid-stream (CCC, RFC 4217 section 12.3). */
export function mayClear({ document: { files } }: PolicySnapshot): boolean {
  return files.clearCommandChannel === 'allow' && !files.requireTls;
}

/** What TLS is put over on a leg where it may end again, of whoever is or may turn out to be an FTP client; nobody else pays for it. */
export function clearable(flow: Flow, side: Side, socket: Socket): ClearableTransport | undefined {
  if (!mayClear(flow.policy) || !mayBeFiles(flow)) return undefined;
  const transport = new ClearableTransport(socket);
  flow.clearable = { ...flow.clearable, [side]: transport };
  return transport;
}

function mayBeFiles({ facts, hello }: Flow): boolean {
  if (facts.protocol !== undefined) return facts.protocol === 'ftp';
  return hello !== undefined && (hello.alpn.length === 0 || hello.alpn.some((protocol) => protocol.startsWith('ftp')));
}

/** Ends TLS on a leg and gives the connection under it, which is the leg from then on. Rejects with FlowFailure, and the leg has ended. */
export async function clearLeg(flow: Flow, side: Side): Promise<Socket> {
  const secure = flow[side];
  const transport = flow.clearable?.[side];
  if (!(secure instanceof TLSSocket) || transport === undefined) {
    throw new FlowFailure('GATEWAY_INTERNAL', 'TLS cannot end on this leg');
  }
  const { originSecurity: security } = flow;
  // Data connections go on resuming it.
  if (side === 'origin' && security !== undefined) flow.originSecurity = { ...security, session: secure.getSession() };
  const name = side === 'client' ? 'CLIENT' : 'ORIGIN';
  const outcome = await transport.clear(secure, flow.policy.document.timeouts.handshakeMs);
  switch (outcome.kind) {
    case 'clear':
      flow[side] = outcome.socket;
      return outcome.socket;
    case 'injected':
      throw new FlowFailure(`${name}_UPGRADE_INJECTION`, 'bytes before the end of TLS');
    case 'gone':
      throw new FlowFailure(`${name}_GONE`, `at the end of TLS: ${outcome.detail}`);
    case 'late':
      throw new FlowFailure(`${name}_HANDSHAKE_TIMEOUT`, 'no end of TLS');
  }
}
