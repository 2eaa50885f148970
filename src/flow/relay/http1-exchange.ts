import type { FailureCode } from '../../core/failures.ts';
import type { Exchange, RequestHead } from '../../core/http.ts';

/** One exchange from its request head until both its messages are done or lost: what passed of it, and its one end. */
export class LiveExchange {
  readonly inspected: Exchange;
  readonly request: RequestHead;
  /** Protocols offered by Upgrade, lower case; undefined when none is forwarded. */
  readonly upgrade: string | undefined;
  isRequestDone = false;
  isResponseBegun = false;
  isResponseDone = false;
  interimResponses = 0;
  requestBodyBytes = 0;
  responseBodyBytes = 0;
  requestWireBytes = 0;
  responseWireBytes = 0;
  /** Status of the page that the client gets from the gateway itself. */
  answered: number | undefined;
  #isFinished = false;

  constructor(inspected: Exchange, request: RequestHead, upgrade: string | undefined) {
    this.inspected = inspected;
    this.request = request;
    this.upgrade = upgrade;
  }

  /** Reports the end to the inspector, once. */
  finish(failure: FailureCode | undefined, detail: string, isWhole = this.isRequestDone && this.isResponseDone): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.inspected.finish({
      complete: failure === undefined && isWhole,
      failure,
      detail,
      requestBodyBytes: this.requestBodyBytes,
      responseBodyBytes: this.responseBodyBytes,
      requestWireBytes: this.requestWireBytes,
      responseWireBytes: this.responseWireBytes,
      answered: this.answered,
    });
  }
}

/** Value of a field of a request, for the answers that the gateway gives itself. */
export function requestField(request: RequestHead | undefined, name: string): string | undefined {
  return request?.headers.find(([field]) => field.length === name.length && field.toLowerCase() === name)?.[1];
}
