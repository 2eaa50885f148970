import { isAlias, isMap, isScalar, isSeq, type Node, type YAMLMap } from 'yaml';
import { formats } from './formats.ts';
import type { ArraySchema, ObjectSchema, ScalarSchema, Schema, UnionSchema, ValueOf } from './schema-type.ts';
import { type Path, type Source, unquotedStar } from './source.ts';
import { constantOf, describe, hint, kindOf, listed, ownerOf, typeOf, unknownKey, wrongType } from './wording.ts';

/**
 * Reads a whole file by its schema: checks every key, parses formats, fills defaults in. Every error is noted in the
 * source with its place. What is wrong is left out (or takes its default), so that what is read is always whole and
 * further checks can run on it, but it may only be used when no error was noted.
 *
 * Written for this purpose because the validators at hand stop after some errors, report every branch of a union, know
 * no places, and cost 20 to 30 MB of memory in a process that stays.
 */
export function readFile<S extends ObjectSchema>(source: Source, schema: S): ValueOf<S> {
  const { contents } = source.document;
  const empty = contents === null || (isScalar(contents) && contents.value === null);
  const read = empty ? undefined : readNode(source, schema, contents, []);
  return (read ?? filled(schema, {})) as ValueOf<S>;
}

/** The value of a node, or undefined when it is wrong. */
function readNode(source: Source, schema: Schema, written: Node | null | undefined, path: Path): unknown {
  const node = isAlias(written) ? written.resolve(source.document) : written;
  if (node === undefined && isAlias(written)) return source.reportAt(written, path, unquotedStar);
  if (isEmpty(node)) return source.reportAt(node, path, 'has no value');
  if ('oneOf' in schema) return readUnion(source, schema, node, path);
  if (schema.type === 'object') return readObject(source, schema, node, path);
  if (schema.type === 'array') return readArray(source, schema, node, path);
  return readScalar(source, schema, node, path);
}

function readUnion(source: Source, schema: UnionSchema, node: Node, path: Path): unknown {
  if (!isMap(node)) return source.reportAt(node, path, `must be keys and values, not ${kindOf(node)}`);
  const { propertyName } = schema.discriminator;
  const choices = schema.oneOf.map((branch) => constantOf(branch, propertyName));
  const choice = node.get(propertyName, true);
  if (choice === undefined) return source.reportAt(node, path, `needs "${propertyName}": ${listed(choices)}`);
  const chosen = String(choice);
  const branch = schema.oneOf[choices.indexOf(chosen)];
  if (branch !== undefined) return readObject(source, branch, node, path, (key) => ownerOf(schema, key));
  return source.reportAt(choice, [...path, propertyName], `must be ${listed(choices)}${hint(chosen, choices)}`);
}

function readObject(
  source: Source,
  schema: ObjectSchema,
  node: Node,
  path: Path,
  explain: (key: string) => string | undefined = () => undefined,
): unknown {
  if (!isMap(node)) return source.reportAt(node, path, `must be keys and values, not ${kindOf(node)}`);
  const values: Record<string, unknown> = {};
  for (const { key, name, written } of pairsOf(node)) {
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const place = [...path, name];
    if (property === undefined) {
      source.reportAt(key, place, explain(name) ?? unknownKey(name, Object.keys(schema.properties)));
    } else if (isEmpty(written)) {
      values[name] = source.reportAt(key, place, 'has no value: give one, or remove the key');
    } else values[name] = readNode(source, property, written, place);
  }
  for (const name of schema.required) {
    if (!(name in values)) source.reportAt(node, [...path, name], `is required: ${describe(schema.properties[name])}`);
  }
  if (schema.required.some((name) => values[name] === undefined)) return undefined;
  const complete = filled(schema, values);
  source.place(complete, path);
  return complete;
}

function readArray(source: Source, schema: ArraySchema, node: Node, path: Path): unknown {
  if (!isSeq(node)) {
    const remedy = isScalar(node) ? ': put it in [ ]' : '';
    return source.reportAt(node, path, `must be a list, not ${kindOf(node)}${remedy}`);
  }
  if (node.items.length < (schema.minItems ?? 0)) return source.reportAt(node, path, 'may not be empty');
  const items = node.items.map((item, index) => readNode(source, schema.items, item as Node, [...path, index]));
  return items.filter((item) => item !== undefined);
}

function readScalar(source: Source, schema: ScalarSchema, node: Node, path: Path): unknown {
  if (!isScalar(node)) return source.reportAt(node, path, `must be ${describe(schema)}, not ${kindOf(node)}`);
  const { value } = node;
  const types: readonly string[] = typeof schema.type === 'string' ? [schema.type] : schema.type;
  if (!types.includes(typeOf(value))) return source.reportAt(node, path, wrongType(schema, node));
  if (schema.enum !== undefined && !schema.enum.includes(String(value))) {
    return source.reportAt(node, path, `must be ${listed(schema.enum)}${hint(String(value), schema.enum)}`);
  }
  if (typeof value === 'number' && (value < (schema.minimum ?? value) || value > (schema.maximum ?? value))) {
    return source.reportAt(node, path, `must be ${describe(schema)}`);
  }
  if (schema.format === undefined) return value;
  const parsed = formats[schema.format].parse(String(value));
  return parsed.kind === 'value' ? parsed.value : source.reportAt(node, path, parsed.message);
}

/** Values with the defaults of absent keys; defaults are written as in the file, so they are parsed like it. */
function filled(schema: ObjectSchema, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const complete: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(schema.properties)) {
    complete[name] = values[name] ?? defaultOf(property);
  }
  return complete;
}

function defaultOf(schema: Schema): unknown {
  return schema.default === undefined ? undefined : parsedDefault(schema, schema.default);
}

function parsedDefault(schema: Schema, written: unknown): unknown {
  if ('oneOf' in schema) {
    const { propertyName } = schema.discriminator;
    const values = written as Readonly<Record<string, unknown>>;
    const branch = schema.oneOf.find((candidate) => constantOf(candidate, propertyName) === values[propertyName]);
    return branch === undefined ? undefined : parsedDefault(branch, written);
  }
  if (schema.type === 'array') return (written as readonly unknown[]).map((item) => parsedDefault(schema.items, item));
  if (schema.type === 'object') {
    const given = Object.entries(written as Readonly<Record<string, unknown>>);
    const parsed = given.map(([name, item]) => [name, parsedDefault(schema.properties[name] ?? schema, item)]);
    return filled(schema, Object.fromEntries(parsed));
  }
  if (schema.format === undefined) return written;
  const parsed = formats[schema.format].parse(String(written));
  return parsed.kind === 'value' ? parsed.value : undefined;
}

function isEmpty(node: Node | null | undefined): node is null | undefined {
  return node === null || node === undefined || (isScalar(node) && node.value === null);
}

function pairsOf(map: YAMLMap): { key: Node; name: string; written: Node | null }[] {
  return map.items.map(({ key, value }) => ({
    key: key as Node,
    name: String(isScalar(key) ? key.value : key),
    written: value as Node | null,
  }));
}
