import { destinationOf } from '../../codec/http1-authority.ts';
import type { ParsedRequest } from '../../codec/http1-head.ts';
import { proxyTargetFailure } from '../../codec/http1-proxy-request.ts';
import type { Destination } from '../../core/endpoint.ts';
import type { Header } from '../../core/http.ts';
import type { Refusal } from './http1-pipeline.ts';

/** What a relay lets its clients ask for. */
export interface Admission {
  /** `proxy`: requests name their origin in absolute form. `origin-form`: the origin is given. */
  readonly mode: 'origin-form' | 'proxy';
  readonly scheme: 'http' | 'https';
  readonly upgrades: 'allow' | 'websocket' | 'refuse';
  /** Hosts that the connection may name; all without it. */
  readonly hostAllowed?: (host: string) => boolean;
  /** Why policy refuses a host, wherever the connection leads; it refuses none without it. */
  readonly hostRefusal?: (host: string) => string | undefined;
  /** Whether a request brings the credentials that the proxy asks for; none are asked for without it. */
  readonly isPermitted?: (headers: readonly Header[]) => boolean;
}

/** Why a well-formed request is refused; undefined when it may pass. */
export function requestRefusal(request: ParsedRequest, admission: Admission): Refusal | undefined {
  const { head, target } = request;
  if (head.method === 'CONNECT') return { code: 'POLICY_CONNECT_REFUSED', detail: '' };
  if (admission.mode === 'proxy') {
    const failure = proxyTargetFailure(request);
    if (failure !== undefined) return failure;
    // Whoever shares a connection among its own clients speaks for each of them anew (RFC 9110 section 11.7.1).
    if (admission.isPermitted?.(head.headers) === false) return { code: 'CLIENT_PROXY_AUTH_REQUIRED', detail: '' };
  } else if (target.form === 'absolute' && target.scheme !== admission.scheme) {
    return { code: 'CLIENT_HTTP_AMBIGUOUS', detail: 'an absolute request target of another scheme' };
  }
  const refusal = admission.hostRefusal?.(head.host);
  if (refusal !== undefined) return { code: 'POLICY_REFUSED', detail: refusal };
  if (request.upgrade !== undefined && !request.offersHttp2 && !mayAskFor(request.upgrade, admission.upgrades)) {
    return { code: 'POLICY_UPGRADE_REFUSED', detail: '' };
  }
  // An HTTP/1.0 request without Host names nothing that could mismatch.
  if (admission.hostAllowed === undefined || head.host === '' || admission.hostAllowed(head.host)) return undefined;
  return { code: 'CLIENT_HOST_MISMATCH', detail: `host ${head.host}` };
}

/** Of several protocols that are offered one may be allowed: the origin's choice is judged again. */
export function mayAskFor(offers: string, upgrades: Admission['upgrades']): boolean {
  if (upgrades !== 'websocket') return upgrades === 'allow';
  return offers.split(',').some((offer) => offer.trim() === 'websocket');
}

/** Where a request in absolute form goes; undefined for every other form. */
export function requestDestination({ target }: ParsedRequest): Destination | undefined {
  return target.form === 'absolute' && target.port !== undefined ? destinationOf(target.host, target.port) : undefined;
}

/** Whether both are the same origin, or both none. */
export function isSameDestination(one: Destination | undefined, other: Destination | undefined): boolean {
  return one?.host === other?.host && one?.port === other?.port;
}

/** Where the requests of a proxy client go: to one origin at a time. */
export class ProxyLeg {
  #destination: Destination | undefined;

  /** Whether a request goes to another origin than those before it. */
  isLeftBy(request: ParsedRequest): boolean {
    return !isSameDestination(this.#destination, requestDestination(request));
  }

  /** Turns to the origin of a request; the origin when it is another one. */
  turnTo(request: ParsedRequest): Destination | undefined {
    const destination = requestDestination(request);
    if (destination === undefined || isSameDestination(this.#destination, destination)) return undefined;
    this.#destination = destination;
    return destination;
  }

  /** The origin has ended its connection: the next request opens another. */
  forget(): void {
    this.#destination = undefined;
  }
}
