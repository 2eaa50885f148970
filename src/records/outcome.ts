import { type FailureCode, failureOf } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import { cut } from './header-text.ts';
import type { JsonObject } from './json.ts';
import { actions, dispositions, networkActivities, severities, statuses } from './ocsf.ts';
import { maskText } from './redact.ts';

/** What became of a flow or transaction. */
export interface Ending {
  readonly verdict: 'allow' | 'block' | 'reset';
  readonly complete: boolean;
  readonly failure: FailureCode | undefined;
  readonly detail: string;
  readonly alarms: number;
}

/** Severity, status, action and disposition of an activity (profile security_control). */
export function outcomeOf(ending: Ending): JsonObject {
  const { verdict, complete, failure, alarms } = ending;
  const [action, disposition] = actionOf(ending);
  return {
    severity_id: severityOf(verdict, failure, alarms),
    status_id: complete && failure === undefined && verdict === 'allow' ? statuses.success : statuses.failure,
    ...(failure === undefined ? {} : { status_code: failure, status_detail: detailOf(failure, ending.detail) }),
    action_id: action,
    disposition_id: disposition,
    ...(alarms > 0 ? { is_alert: true } : {}),
  };
}

/** What happened to a connection, in the words of Network Activity. */
export function networkActivityOf(failure: FailureCode | undefined, isRefused: boolean): number {
  if (failure === undefined) return isRefused ? networkActivities.refuse : networkActivities.close;
  if (cutConnections.has(failure)) return networkActivities.reset;
  if (isRefused || refusals.has(failure) || failure.startsWith('POLICY_')) return networkActivities.refuse;
  return networkActivities.fail;
}

/** Detail of a failure, masked and of bounded length; what the catalogue says where nothing else is known. */
function detailOf(failure: FailureCode, detail: string): string {
  return detail === '' ? failureOf(failure).meaning : cut(maskText(detail), limits.recordDetailBytes);
}

/** Connections that were open and were cut. */
const cutConnections: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'POLICY_RULE_BLOCK',
  'POLICY_RULE_RESET',
  'CLIENT_GONE',
  'CLIENT_IDLE_TIMEOUT',
  'ORIGIN_GONE',
  'ORIGIN_IDLE_TIMEOUT',
  'ORIGIN_TRUNCATED',
]);

const refusals: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'ORIGIN_REFUSED',
  'CLIENT_PROXY_AUTH_REQUIRED',
  'GATEWAY_OVERLOADED',
  'GATEWAY_SHUTTING_DOWN',
  'GATEWAY_RECORDS_UNWRITABLE',
]);

/** Failures of the network or of a peer that is gone: nothing was denied. */
const troubles =
  /^(?:CLIENT_(?:GONE|LEAF_REJECTED|HANDSHAKE_FAILED|\w*TIMEOUT)|ORIGIN_(?:NAME_UNRESOLVED|REFUSED|UNREACHABLE|GONE|TRUNCATED|NOT_TLS|HANDSHAKE_FAILED|UPSTREAM_PROXY|\w*TIMEOUT))$/;
const rejections = /^(?:CLIENT|ORIGIN)_(?!CERT|TLS|REVOCATION)/;
const grave =
  /^(?:ORIGIN_CERT_|ORIGIN_TLS_|ORIGIN_REVOCATION_|POLICY_RULE_|GATEWAY_|CLIENT_HTTP_AMBIGUOUS|ORIGIN_HTTP_AMBIGUOUS)/;

function actionOf({ verdict, failure, alarms }: Ending): readonly [action: number, disposition: number] {
  if (verdict === 'reset' || failure === 'POLICY_RULE_RESET') return [actions.denied, dispositions.reset];
  if (verdict === 'block' || failure?.startsWith('POLICY_')) return [actions.denied, dispositions.blocked];
  if (failure === undefined) {
    return alarms > 0 ? [actions.observed, dispositions.alert] : [actions.allowed, dispositions.allowed];
  }
  if (failure === 'CLIENT_PROXY_AUTH_REQUIRED') return [actions.denied, dispositions.unauthorized];
  if (failure.startsWith('GATEWAY_')) return [actions.denied, dispositions.error];
  if (troubles.test(failure)) return [actions.allowed, dispositions.error];
  return [actions.denied, rejections.test(failure) ? dispositions.rejected : dispositions.blocked];
}

function severityOf(verdict: Ending['verdict'], failure: FailureCode | undefined, alarms: number): number {
  if (verdict !== 'allow' || alarms > 0) return severities.medium;
  if (failure === undefined || failure === 'CLIENT_GONE') return severities.info;
  return grave.test(failure) ? severities.medium : severities.low;
}
