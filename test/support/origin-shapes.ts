import { oids } from '../../src/pki/oids.ts';
import type { OriginWishes } from './test-authority.ts';

const hourMs = 3_600_000;
const clientAuth = '1.3.6.1.5.5.7.3.2';
const codeSigning = '1.3.6.1.5.5.7.3.3';
const long = `${'long-label-'.repeat(5)}x.${'deep.'.repeat(8)}example.com`;

/** What real clients meet a leaf for: shapes of good origins, by the name that is asked for. */
export const originShapes: readonly (readonly [host: string, wishes: OriginWishes])[] = [
  ['www.example.com', { names: ['www.example.com'] }],
  ['rsa.example.com', { names: ['rsa.example.com'], keyType: 'rsa' }],
  ['a.wild.example.com', { names: ['*.wild.example.com'] }],
  ['127.0.0.1', { names: ['127.0.0.1'] }],
  ['h999.example.com', { names: Array.from({ length: 1_000 }, (_, index) => `h${index}.example.com`) }],
  ['xn--bcher-kva.example', { names: ['xn--bcher-kva.example'] }],
  ['years.example.com', { names: ['years.example.com'], validForMs: 20 * 365 * 24 * hourMs }],
  ['ending.example.com', { names: ['ending.example.com'], validForMs: 1.5 * hourMs }],
  ['several.example.com', { names: ['several.example.com'], purposes: [clientAuth, oids.serverAuth, codeSigning] }],
  ['none.example.com', { names: ['none.example.com'], purposes: [] }],
  [long, { names: [long] }],
  ['mixed.example.com', { names: ['10.0.0.1', '2001:db8::1', '*.other.example.com', 'mixed.example.com'] }],
];

/** Without it the shape that names no purpose would be refused. */
export const shapeExceptions = [{ hosts: ['none.example.com'], allow: ['missing-eku'], reason: 'a shape to be tried' }];
