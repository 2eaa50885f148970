import type { System } from './system.ts';
import { daylight, daylightBodies, daylightReverse } from './systems/daylight.ts';
import { haproxy } from './systems/haproxy.ts';
import { mitmproxy } from './systems/mitmproxy.ts';
import { httpMitmProxy, pipedSockets } from './systems/on-node.ts';
import { squid } from './systems/squid.ts';
import { sslsplit, sslsplitP256 } from './systems/sslsplit.ts';

/** Every system, in the order in which they take turns. */
export const systems: readonly System[] = [
  daylight,
  sslsplit,
  squid,
  daylightReverse,
  daylightBodies,
  haproxy,
  sslsplitP256,
  mitmproxy,
  pipedSockets,
  httpMitmProxy,
];
