import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { type FormatName, formats } from '../src/config/formats.ts';
import { schema } from '../src/config/schema.ts';
import type { ObjectSchema, ScalarSchema, Schema, UnionSchema } from '../src/config/schema-type.ts';
import { editorSchema } from './editor-schema.ts';

const introduction = `# Configuration

One YAML file (YAML 1.2) holds the whole configuration: \`daylight start --config FILE\`, by default
\`config/daylight.yaml\`. Every key may be left out unless it says "required"; an empty file is valid and starts an
explicit proxy on 127.0.0.1:8080.

- **Checking.** \`daylight check --config FILE\` prints every error as \`file:line:column: key: message\`. Unknown keys
  are errors. The first line of [config/daylight.yaml](../config/daylight.yaml) makes editors with a YAML language server
  check and complete while you type, by [config/daylight.schema.json](../config/daylight.schema.json).
- **Paths.** Relative paths start at the directory in which the gateway is started, wherever the file stands.
- **Reloading.** On SIGHUP, and by itself when the file or a file that it names changes (rule files, roots, certificates,
  passwords), the whole configuration is loaded again, all or nothing: a file with an error changes nothing, and the log
  says why. Live flows keep the policy under which they began.
- **Policy version.** Every record names the version of the policy: a digest of this file's meaning and the files that
  it names. The same content has the same version on every machine. Passwords are no part of it.
- **Secrets.** Prefer \`passwordFile\`. Passwords for clients are kept in memory only as SHA-256; no message or record
  repeats one.

This page and the schema are made from \`src/config/schema.ts\` by \`npm run docs:configuration\`; a test compares them.
`;

const kinds: Readonly<Record<FormatName, string>> = {
  'listen-address': 'address and port',
  endpoint: 'host and port',
  'host-name': 'host name',
  'host-pattern': 'host pattern',
  cidr: 'address block',
  duration: 'duration',
  size: 'size',
  'proxy-url': 'proxy URL',
  'icap-url': 'URL',
  'relay-count': 'relay count',
  path: 'path',
  glob: 'path or pattern',
  'header-name': 'header name',
  'header-field': 'header',
  'mail-header-name': 'field name',
  'mail-header-field': 'field',
  reason: 'reason',
  identifier: 'identifier',
  user: 'user name',
  password: 'password',
};

/** The reference page of the configuration, section by section as in the schema. */
export function configurationPage(): string {
  const sections = Object.entries<Schema>(schema.properties).map(([key, part]) => section(key, part));
  return [introduction, ...sections, valuesSection()].join('\n');
}

function section(key: string, part: Schema): string {
  const items = 'items' in part ? part.items : part;
  const entries = 'items' in part ? 'Each entry of the list: ' : '';
  if ('oneOf' in items)
    return [head(key, part), ...items.oneOf.map((branch) => branchText(items, branch)), ''].join('\n');
  if (items.type !== 'object') return `${head(key, part)}\n${scalarFacts(part)}\n`;
  const intro = entries === '' ? '' : `${entries}${lowerFirst(items.description)}\n\n`;
  return `${head(key, part)}\n${intro}${table(items)}\n`;
}

function head(key: string, part: Schema): string {
  const example = stringify({ [key]: exampleOf(part) }, { flowCollectionPadding: true, lineWidth: 0 });
  return `## ${key}\n\n${part.description}\n\n\`\`\`yaml\n${example}\`\`\`\n`;
}

function branchText({ discriminator }: UnionSchema, branch: ObjectSchema): string {
  const name = discriminator.propertyName;
  const { [name]: constant, ...properties } = branch.properties;
  const title = constant !== undefined && 'const' in constant ? constant.const : '';
  return `### ${name}: ${title}\n\n${branch.description}\n\n${table({ ...branch, properties })}`;
}

function table(part: ObjectSchema): string {
  return `| key | value | default | meaning |\n|---|---|---|---|\n${rows(part, '').join('\n')}\n`;
}

function rows(part: ObjectSchema, prefix: string): readonly string[] {
  return Object.entries(part.properties).flatMap(([name, property]) => {
    const key = `${prefix}${name}`;
    const absent = part.required.includes(name) ? 'required' : defaultText(property);
    const row = `| \`${key}\` | ${cell(kindOf(property))} | ${cell(absent)} | ${cell(property.description)} |`;
    if ('properties' in property) return [row, ...rows(property, `${key}.`)];
    const items = 'items' in property ? property.items : undefined;
    return items !== undefined && 'properties' in items ? [row, ...rows(items, `${key}[].`)] : [row];
  });
}

function scalarFacts(part: Schema): string {
  return `Value: ${kindOf(part)}. Default: ${defaultText(part)}.`;
}

function kindOf(part: Schema): string {
  if ('oneOf' in part || part.type === 'object') return 'keys';
  if (part.type === 'array') return listOf(part.items);
  if (part.enum !== undefined) return part.enum.map((choice) => `\`${choice}\``).join(', ');
  if (part.format !== undefined) return kinds[part.format];
  return part.type === 'integer' ? rangeOf(part) : part.type === 'boolean' ? '`true`, `false`' : 'text';
}

function listOf(items: Schema): string {
  if ('oneOf' in items || items.type === 'object') return 'list of entries';
  if ('enum' in items && items.enum !== undefined) return `list of ${kindOf(items)}`;
  if (!('format' in items) || items.format === undefined) return 'list of numbers';
  return items.format === 'glob' ? 'list of paths or patterns' : `list of ${kinds[items.format]}s`;
}

function rangeOf({ minimum = 0, maximum }: ScalarSchema): string {
  return maximum === undefined ? `number from ${minimum}` : `${minimum} to ${maximum}`;
}

function defaultText(part: Schema): string {
  if ('properties' in part) return part.default === undefined ? 'absent' : '';
  if (part.default === undefined) return 'absent';
  if (Array.isArray(part.default) && part.default.length === 0) return 'none';
  return `\`${typeof part.default === 'string' ? part.default : JSON.stringify(part.default).replaceAll('"', '').replaceAll(',', ', ')}\``;
}

/** The first example of a part; for an object that has none, those of its keys. */
function exampleOf(part: Schema): unknown {
  if (part.examples !== undefined) return part.examples[0];
  if (!('properties' in part)) return part.default;
  return Object.fromEntries(Object.entries(part.properties).map(([name, property]) => [name, exampleOf(property)]));
}

function valuesSection(): string {
  const list = Object.entries(kinds).map(
    ([format, kind]) => `| ${kind} | ${cell(quotedAsCode(upperFirst(formats[format as FormatName].expected)))} |`,
  );
  return `## Values\n\n| value | written as |\n|---|---|\n${list.join('\n')}\n`;
}

/** Quoted samples become code: a bare "*" would be read as emphasis. */
function quotedAsCode(text: string): string {
  return text.replaceAll(/"([^"]+)"/g, '`$1`');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

if (import.meta.main) {
  writeFileSync(new URL('configuration.md', import.meta.url), configurationPage());
  writeFileSync(new URL('../config/daylight.schema.json', import.meta.url), editorSchema());
}
