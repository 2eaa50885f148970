import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { FlowFailure } from '../../src/core/failures.ts';
import type { Relay, Wire } from '../../src/core/relay.ts';
import { Pump } from '../../src/flow/pump.ts';
import type { SecureLegs } from '../../src/flow/pump-options.ts';
import { createOpaqueRelay } from '../../src/flow/relay/opaque.ts';
import { Peer, turn } from '../support/peer-stream.ts';

/** A relay that goes over to TLS when the origin says `220`, and copies before and after. */
function upgradingRelay(wire: Wire, events: string[]): Relay {
  return {
    receive(from, bytes) {
      events.push(`${from} ${String(bytes)}`);
      if (String(bytes) === 'STARTTLS') wire.pause('client', true);
      const isConsent = from === 'origin' && String(bytes) === '220';
      if (!isConsent) return wire.send(from === 'client' ? 'origin' : 'client', bytes);
      wire.upgrade({ kind: 'tls', accept: Buffer.from('go on'), originName: 'mail.example', alpn: ['smtp'] });
    },
    end: (from) => events.push(`end of ${from}`),
    cut: (code) => events.push(`cut ${code}`),
    upgraded: () => events.push('upgraded'),
    upgradeFailed(code) {
      events.push(`failed ${code}`);
      wire.send('client', Buffer.from('454'));
      wire.close(code);
    },
  };
}

function start(wishes: Partial<SecureLegs> = {}) {
  const [client, origin, securedClient, securedOrigin] = [new Peer(), new Peer(), new Peer(), new Peer()];
  const events: string[] = [];
  const pump = new Pump({
    client,
    origin,
    relay: (wire) => upgradingRelay(wire, events),
    upgradedRelay: (wire) => createOpaqueRelay({ wire }),
    idleTimeoutMs: 10_000,
    secure: {
      needsHello: () => false,
      passesUnread: () => false,
      again: async () => undefined,
      hello: async () => void events.push(`hello while the client has read "${client.text}"`),
      origin: async (name) => {
        events.push(`origin leg ${name} while the client has read "${client.text}"`);
        return securedOrigin;
      },
      client: async (alpn): Promise<Duplex> => {
        events.push(`client leg ${alpn} while the client has read "${client.text}"`);
        return securedClient;
      },
      ...wishes,
    },
  });
  return { client, origin, securedClient, securedOrigin, events, pump, done: pump.run() };
}

async function turns(count = 6): Promise<void> {
  for (let index = 0; index < count; index += 1) await turn();
}

describe('an upgrade to TLS in mid-stream', () => {
  it('secures the origin first, then answers the client, then goes on over both TLS streams', async () => {
    const { origin, client, securedClient, securedOrigin, events, done } = start();
    origin.feed('220');
    await turns();
    expect(events).toEqual([
      'origin 220',
      'origin leg mail.example while the client has read ""',
      'client leg smtp while the client has read "go on"',
      'upgraded',
    ]);
    securedClient.feed('EHLO');
    await turn();
    expect(securedOrigin.text).toBe('EHLO');
    expect(origin.text).toBe('');
    securedOrigin.feed(null);
    securedClient.feed(null);
    await turn();
    securedClient.destroy();
    securedOrigin.destroy();
    await done;
    expect(client.text).toBe('go on');
  });

  it('tells a client in plaintext that its origin failed, and never that it may go on', async () => {
    const { origin, client, events, done } = start({
      origin: async () => {
        throw new FlowFailure('ORIGIN_CERT_EXPIRED', 'yesterday');
      },
    });
    origin.feed('220');
    expect((await done).code).toBe('ORIGIN_CERT_EXPIRED');
    expect(client.text).toBe('454');
    expect(events).toEqual(['origin 220', 'failed ORIGIN_CERT_EXPIRED']);
  });

  it('ends the flow when the client fails at TLS', async () => {
    const { origin, client, securedOrigin, events, done } = start({
      client: async () => {
        client.destroy();
        throw new FlowFailure('CLIENT_LEAF_REJECTED', 'alert');
      },
    });
    origin.feed('220');
    expect((await done).code).toBe('CLIENT_LEAF_REJECTED');
    expect(securedOrigin.destroyed).toBe(true);
    expect(events.at(-1)).toBe('cut CLIENT_LEAF_REJECTED');
  });

  it.each(['client', 'origin'] as const)('fails on bytes that the %s has sent behind its last line', async (side) => {
    const run = start();
    run.client.feed('STARTTLS');
    if (side === 'client') await turns();
    if (side === 'client') run.client.feed('MAIL FROM:<a@b>');
    run.origin.feed('220');
    if (side === 'origin') run.origin.feed('MAIL FROM:<a@b>');
    const { code } = await run.done;
    expect(code).toBe(side === 'client' ? 'CLIENT_UPGRADE_INJECTION' : 'ORIGIN_UPGRADE_INJECTION');
    expect(run.client.text).toBe('454');
    expect(run.origin.text).toBe('STARTTLS');
    expect(run.events.filter((event) => event.includes('leg'))).toEqual([]);
  });

  it('fails on bytes that the client sends while the origin is verified', async () => {
    const run = start({
      origin: async () => {
        run.client.feed('MAIL FROM:<a@b>');
        return run.securedOrigin;
      },
    });
    run.origin.feed('220');
    expect((await run.done).code).toBe('CLIENT_UPGRADE_INJECTION');
    expect(run.client.text).not.toContain('go on');
    expect(run.securedOrigin.text).toBe('');
  });

  it('that is cut from outside ends when the handshake under way has', async () => {
    let finish: (stream: Duplex) => void = () => {};
    const run = start({ origin: () => new Promise<Duplex>((resolve) => (finish = resolve)) });
    run.origin.feed('220');
    await turns();
    run.pump.cut('GATEWAY_SHUTTING_DOWN');
    let isOver = false;
    run.done.then(() => (isOver = true));
    await turns();
    expect(isOver).toBe(false);
    finish(run.securedOrigin);
    expect((await run.done).code).toBe('GATEWAY_SHUTTING_DOWN');
    expect(run.securedOrigin.destroyed && run.securedClient.destroyed).toBe(true);
  });
});
