import type { Farm } from '../farm.ts';
import type { OriginCase } from '../origin-case.ts';
import { algorithmCases } from './algorithm-cases.ts';
import { authorityCases } from './authority-cases.ts';
import { chainCases } from './chain-cases.ts';
import { constraintCases } from './constraint-cases.ts';
import { goodCases } from './good-cases.ts';
import { leafCases } from './leaf-cases.ts';
import { nameCases } from './name-cases.ts';
import { protocolCases } from './protocol-cases.ts';
import { revocationCases } from './revocation-cases.ts';
import { timeCases } from './time-cases.ts';

/** Every origin that a farm can open. */
export function casesOf(farm: Farm): readonly OriginCase[] {
  return [
    ...goodCases,
    ...chainCases,
    ...authorityCases(farm.gatewayCa !== undefined),
    ...leafCases,
    ...constraintCases,
    ...nameCases,
    ...timeCases,
    ...revocationCases(farm.responder),
    ...algorithmCases,
    ...protocolCases,
  ];
}
