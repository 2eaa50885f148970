import { isMap, isScalar, isSeq, type Node, type Scalar } from 'yaml';
import { nearest } from '../core/suggest.ts';
import { formats } from './formats.ts';
import type { ObjectSchema, ScalarSchema, Schema, UnionSchema } from './schema-type.ts';

/** Says that a key is unknown and which one was probably meant. */
export function unknownKey(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === undefined ? `unknown key; known here: ${known.join(', ')}` : `unknown key; did you mean "${near}"?`;
}

/** Says so when a key that is unknown in one branch belongs to another. */
export function ownerOf(schema: UnionSchema, key: string): string | undefined {
  const discriminator = schema.discriminator.propertyName;
  const owners = schema.oneOf.filter((branch) => Object.hasOwn(branch.properties, key));
  const names = owners.map((branch) => constantOf(branch, discriminator));
  return names.length === 0 ? undefined : `goes only with ${discriminator}: ${names.join(' or ')}`;
}

/** The constant that tells a branch of a union from the others. */
export function constantOf(branch: ObjectSchema, name: string): string {
  const property = branch.properties[name];
  return property !== undefined && 'const' in property ? (property.const ?? '') : '';
}

/** Says what a scalar must be, and what it is instead. */
export function wrongType(schema: ScalarSchema, node: Scalar): string {
  const format = schema.format === undefined ? undefined : formats[schema.format];
  const quoted =
    schema.type === 'string' && schema.enum === undefined && format?.parse(node.source ?? '').kind !== 'wrong';
  return `must be ${describe(schema)}${quoted ? ': put it in quotes' : `, not ${kindOf(node)}`}`;
}

/** What a value must be, to end the sentence "must be ...". */
export function describe(schema: Schema | undefined): string {
  if (schema === undefined || !('type' in schema)) return 'keys and values';
  if (schema.type === 'array') return 'a list';
  if (schema.type === 'object') return 'keys and values';
  if (schema.enum !== undefined) return listed(schema.enum);
  if (schema.format !== undefined) return formats[schema.format].expected;
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type !== 'integer') return 'text';
  return schema.maximum === undefined
    ? `a whole number from ${schema.minimum ?? 0}`
    : `a whole number from ${schema.minimum ?? 0} to ${schema.maximum}`;
}

/** What a node is, in the words of someone who writes YAML. */
export function kindOf(node: Node): string {
  if (isMap(node)) return 'keys and values';
  if (isSeq(node)) return 'a list';
  return isScalar(node) ? ({ string: 'text', boolean: 'true or false' }[typeOf(node.value)] ?? 'a number') : 'an alias';
}

/** The JSON Schema type of a scalar. */
export function typeOf(value: unknown): string {
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value;
}

/** Choices as they are named in a sentence. */
export function listed(choices: readonly string[]): string {
  return choices.length === 1 ? `"${choices[0]}"` : `one of ${choices.join(', ')}`;
}

/** Ends a sentence with the choice that was probably meant. */
export function hint(word: string, choices: readonly string[]): string {
  const near = nearest(word, choices);
  return near === undefined ? '' : `; did you mean "${near}"?`;
}
