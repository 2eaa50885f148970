import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/** Checks records against the part of the OCSF schema in test/golden/ocsf. */

type Attributes = Readonly<Record<string, string>>;
type Enums = Readonly<Record<string, readonly (number | string)[]>>;
interface Shape {
  readonly attributes: Attributes;
  readonly at_least_one: readonly (readonly string[])[];
  readonly enums: Enums;
}
interface ClassShape extends Shape {
  readonly name: string;
  readonly category_uid: number;
  readonly profiles: readonly string[];
}
interface Schema {
  readonly version: string;
  readonly enums: Enums;
  readonly profiles: Readonly<Record<string, Attributes>>;
  readonly classes: Readonly<Record<string, ClassShape>>;
  readonly objects: Readonly<Record<string, Shape>>;
}
type Json = Readonly<Record<string, unknown>>;

const schema = JSON.parse(readFileSync(new URL('../golden/ocsf/schema.json', import.meta.url), 'utf8')) as Schema;

/** What is wrong with a record, one sentence each with the path of the attribute; empty when it is valid. */
export function ocsfProblems(record: unknown): readonly string[] {
  if (!isObject(record)) return ['the record is no object'];
  const shape = schema.classes[String(record.class_uid)];
  if (shape === undefined) return [`class_uid ${String(record.class_uid)} is not in the schema`];
  const metadata = isObject(record.metadata) ? record.metadata : {};
  const profiles = Array.isArray(metadata.profiles) ? metadata.profiles.map(String) : [];
  const applied = Object.assign({}, ...profiles.map((name) => schema.profiles[name] ?? {})) as Attributes;
  return [
    ...profiles.filter((name) => !shape.profiles.includes(name)).map((name) => `${shape.name} has no profile ${name}`),
    ...profiles
      .filter((name) => shape.profiles.includes(name) && schema.profiles[name] === undefined)
      .map((name) => `profile ${name} is not in this part of the schema`),
    ...arithmetic(record, shape, metadata),
    ...objectProblems(record, { ...shape, attributes: { ...applied, ...shape.attributes } }, ''),
  ];
}

function arithmetic(record: Json, shape: ClassShape, metadata: Json): readonly string[] {
  const expected = Number(record.class_uid) * 100 + Number(record.activity_id);
  const start = Number(record.start_time ?? record.time);
  const end = Number(record.end_time ?? record.time);
  return [
    ...(record.type_uid === expected ? [] : [`type_uid is not ${expected}`]),
    ...(record.category_uid === shape.category_uid ? [] : [`category_uid is not ${shape.category_uid}`]),
    ...(metadata.version === schema.version ? [] : [`metadata.version is not ${schema.version}`]),
    ...(start <= end ? [] : ['end_time is before start_time']),
    ...(record.duration === undefined || record.duration === end - start ? [] : ['duration is not end - start']),
  ];
}

function objectProblems(value: Json, shape: Shape, path: string): readonly string[] {
  const unknown = Object.keys(value).filter((name) => shape.attributes[name] === undefined);
  return [
    ...unknown.map((name) => `${path}${name} is not in the schema`),
    ...shape.at_least_one
      .filter((names) => names.every((name) => value[name] === undefined))
      .map((names) => `${path} has none of ${names.join(', ')}`),
    ...Object.keys(value)
      .filter((name) => value[name] === 99 && name.endsWith('_id') && value[siblingOf(name)] === undefined)
      .map((name) => `${path}${name} is 99 (other), and ${siblingOf(name)} is missing`),
    ...Object.entries(shape.attributes).flatMap(([name, notation]) =>
      attributeProblems(value[name], notation, `${path}${name}`, shape.enums[name] ?? schema.enums[name]),
    ),
  ];
}

/** The attribute that holds in words what an identifier stands for. */
function siblingOf(name: string): string {
  return name === 'activity_id' ? 'activity_name' : name.slice(0, -'_id'.length);
}

function attributeProblems(
  value: unknown,
  notation: string,
  path: string,
  allowed: readonly (number | string)[] | undefined,
): readonly string[] {
  const [, type = '', array, requirement, deprecated] = /^(\w+?)(\[\])?([!+?])(-)?$/.exec(notation) ?? [];
  if (requirement === undefined) return [`${path}: ${notation} is no notation of the extract`];
  if (value === undefined) return requirement === '!' ? [`${path} is missing`] : [];
  if (deprecated !== undefined) return [`${path} is deprecated`];
  if (array === undefined) return valueProblems(value, type, path, allowed);
  if (!Array.isArray(value)) return [`${path} is no array`];
  return value.flatMap((entry, index) => valueProblems(entry, type, `${path}[${index}]`, allowed));
}

function valueProblems(
  value: unknown,
  type: string,
  path: string,
  allowed: readonly (number | string)[] | undefined,
): readonly string[] {
  const scalar = scalars[type];
  if (scalar !== undefined) {
    if (!scalar(value)) return [`${path} is no ${type}: ${JSON.stringify(value)}`];
    if (allowed === undefined || allowed.includes(value as number | string)) return [];
    return [`${path} is none of its values: ${JSON.stringify(value)}`];
  }
  if (!isObject(value)) return [`${path} is no object`];
  if (type === 'object') return [];
  const shape = schema.objects[type];
  return shape === undefined
    ? [`${path}: ${type} is not in this part of the schema`]
    : objectProblems(value, shape, `${path}.`);
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isWhole = (value: unknown): boolean => Number.isSafeInteger(value);
const hostname =
  /^(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])\.)*([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])$/;

/**
 * The types of the dictionary. Three are held tighter than there, since Daylight writes nothing else: `hostname_t` and
 * `file_hash_t` have no pattern any more, and `timestamp_t` may be before 1970.
 */
const scalars: Readonly<Record<string, (value: unknown) => boolean>> = {
  string_t: isText,
  file_name_t: isText,
  file_path_t: isText,
  resource_uid_t: isText,
  url_t: isText,
  mac_t: (value) => isText(value) && /^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$/.test(value),
  boolean_t: (value) => typeof value === 'boolean',
  integer_t: isWhole,
  long_t: isWhole,
  timestamp_t: (value) => isWhole(value) && Number(value) >= 0,
  port_t: (value) => isWhole(value) && Number(value) >= 0 && Number(value) <= 65_535,
  ip_t: (value) => isText(value) && value.length <= 40 && isIP(value) !== 0,
  hostname_t: (value) => isText(value) && hostname.test(value),
  email_t: (value) => isText(value) && /^[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~.]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+$/.test(value),
  file_hash_t: (value) => isText(value) && /^[a-fA-F0-9]+$/.test(value),
  json_t: (value) => value !== undefined,
};

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
