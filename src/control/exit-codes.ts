import type { FailureCode } from '../core/failures.ts';

/** Exit codes of every command; docs/cli.md lists them and a test compares. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  /** Unknown command or option. */
  usage: 2,
  /** Configuration, rules or trusted roots are not valid. */
  config: 3,
  /** An address is in use or may not be opened. */
  listen: 4,
  /** The authority's key or certificate cannot be used. */
  authority: 5,
  /** Of `exec` alone: no gateway could be started. As `timeout` and `docker run` do, to leave the low codes to the command. */
  gateway: 125,
  notExecutable: 126,
  notFound: 127,
} as const;

/** The exit code that tells a script which kind of failure ended a command. */
export function exitCodeOf(code: FailureCode): number {
  switch (code) {
    case 'GATEWAY_CONFIG_INVALID':
    case 'GATEWAY_RULES_INVALID':
    case 'GATEWAY_TRUST_INVALID':
      return exitCodes.config;
    case 'GATEWAY_PORT_IN_USE':
    case 'GATEWAY_LISTEN_DENIED':
    case 'GATEWAY_SOCKET_OPTION':
      return exitCodes.listen;
    case 'GATEWAY_AUTHORITY_KEY':
      return exitCodes.authority;
    default:
      return exitCodes.failed;
  }
}
