import { describe, expect, it } from 'vitest';
import { ListeningSockets } from '../../src/control/listening-sockets.ts';
import type { ListenerPolicy } from '../../src/core/policy.ts';
import { hasSocketOptions } from '../../src/net/libc.ts';
import { freePort } from '../support/gateway.ts';

function explicit(port: number): ListenerPolicy {
  return {
    id: `explicit:127.0.0.1:${port}`,
    mode: 'explicit',
    listen: { ip: '127.0.0.1', port },
    proxyProtocol: 'off',
    trustedProxies: [],
    credentials: [],
  };
}

describe.runIf(hasSocketOptions)('the listening sockets', () => {
  it('of a listener that a failed reload had moved are the same again', async () => {
    const sockets = new ListeningSockets();
    const [before, after] = [explicit(await freePort()), explicit(await freePort())];
    sockets.open([before], 2);
    const descriptors = [...sockets.of(1)];
    sockets.open([after], 2);
    // The relays could not take it up: control goes back to what was.
    sockets.open([before], 2);
    sockets.closeRetired();
    expect([...sockets.of(1)]).toEqual(descriptors);
    // And the port of the other one is free.
    sockets.open([before, after], 2);
    sockets.closeAll();
  });
});
