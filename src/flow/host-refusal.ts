import type { Flow } from './flow.ts';

/**
 * Tells why policy refuses the host of a request; undefined where no policy could. A refused host is refused under
 * whatever name or address its connection was opened: several hosts share one certificate, and transparent capture of
 * plain HTTP knows nothing but an address.
 */
export function hostRefusalFor({ facts, policy }: Flow): ((host: string) => string | undefined) | undefined {
  if (policy.document.refuse.every(({ hosts }) => hosts.length === 0)) return undefined;
  let lastAllowed = '';
  return (host) => {
    if (host === lastAllowed) return undefined;
    const reason = policy.refuseReason(host, undefined, facts.destination?.port ?? 0);
    if (reason === undefined) lastAllowed = host;
    return reason;
  };
}
