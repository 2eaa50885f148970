import type { FailureCode } from '../core/failures.ts';
import type { Farm, FarmCredentials } from './farm.ts';
import type { Script } from './scripted-origin.ts';
import type { Tamper } from './tampering.ts';
import type { TlsOriginOptions } from './tls-origin.ts';

/** What a bad origin is bad in; `good` is in nothing. */
export type CaseClass = (typeof caseClasses)[number];
/** Every class, in the order of the report. */
export const caseClasses = ['good', 'chain', 'names', 'time', 'revocation', 'algorithms', 'protocol'] as const;

/**
 * The grade that is left when a bad origin is taken for a good one: F where anybody can pose as an origin, C where a known
 * attack works, B where TLS is weaker than need be (the scale of Durumeric et al., "The Security Impact of HTTPS
 * Interception", NDSS 2017).
 */
export type Grade = 'A' | 'B' | 'C' | 'F';

/** One origin of the farm. */
export interface OriginCase {
  readonly class: CaseClass;
  /** What is wrong with it, or special; unique in its class. */
  readonly name: string;
  readonly gradeIfMissed: Exclude<Grade, 'A'>;
  /** Codes that tell the right reason of a refusal; none for a good origin. */
  readonly codes: readonly FailureCode[];
  /** Host that the client asks for: a name of the farm, or its address. */
  readonly host: string;
  readonly open: (farm: Farm) => OriginSetup;
}

/** How the origin of a case behaves. */
export type OriginSetup =
  | {
      readonly kind: 'tls';
      readonly credentials: FarmCredentials | undefined;
      readonly options?: TlsOriginOptions;
      /** Changes what it sends, as somebody on the way might. */
      readonly tamper?: Tamper;
    }
  | { readonly kind: 'script'; readonly script: Script };

/** A table's rows of bad origins of a class: name, codes, host, and what opens it. */
export type BadRow = readonly [
  name: string,
  codes: readonly FailureCode[],
  host: string,
  open: (farm: Farm) => FarmCredentials | OriginSetup,
];

/** Makes cases of rows. */
export function badOrigins(
  of: CaseClass,
  gradeIfMissed: Exclude<Grade, 'A'>,
  rows: readonly BadRow[],
): readonly OriginCase[] {
  return rows.map(([name, codes, host, open]) => ({
    class: of,
    name,
    gradeIfMissed,
    codes,
    host,
    open: (farm) => setupOf(open(farm)),
  }));
}

/** Makes cases of good origins; one that is refused keeps the gateway from grade A. */
export function goodOrigins(
  rows: readonly (readonly [name: string, host: string, open: (farm: Farm) => FarmCredentials | OriginSetup])[],
): readonly OriginCase[] {
  return badOrigins(
    'good',
    'B',
    rows.map(([name, host, open]) => [name, [], host, open]),
  );
}

function setupOf(made: FarmCredentials | OriginSetup): OriginSetup {
  return 'kind' in made ? made : { kind: 'tls', credentials: made };
}
