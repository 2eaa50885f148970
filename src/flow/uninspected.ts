import type { Exchange } from '../core/http.ts';
import { allow } from '../core/verdict.ts';

/** An exchange that policy leaves alone on a connection that is read for the sake of others: no rule, no record. */
export const uninspected: Exchange = {
  requestHead: () => allow,
  requestBody: () => allow,
  requestEnd: () => allow,
  responseHead: () => allow,
  responseBody: () => allow,
  responseEnd: () => allow,
  interim: () => allow,
  upgraded: () => {},
  finish: () => {},
};
