import { formats } from '../src/config/formats.ts';
import { schema } from '../src/config/schema.ts';
import type { Schema } from '../src/config/schema-type.ts';

/** The configuration's schema as editors read it: JSON Schema draft 7, with the patterns of all formats. */
export function editorSchema(): string {
  const standard = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Daylight configuration',
    ...standardForm(schema),
  };
  return `${formatted(standard, '', 0)}\n`;
}

function standardForm(part: Schema): Record<string, unknown> {
  const { description, examples } = part;
  return {
    ...structure(part),
    description,
    ...worthSaying(part.default),
    ...(examples === undefined ? {} : { examples }),
  };
}

function structure(part: Schema): Record<string, unknown> {
  if ('oneOf' in part) return { oneOf: part.oneOf.map(standardForm) };
  if (part.type === 'array') {
    const { type, items, minItems } = part;
    return { type, items: standardForm(items), ...(minItems === undefined ? {} : { minItems }) };
  }
  if (part.type === 'object') {
    const properties = Object.entries(part.properties).map(([name, property]) => [name, standardForm(property)]);
    const { type, required } = part;
    return { type, additionalProperties: false, required, properties: Object.fromEntries(properties) };
  }
  // Other tools know none of our formats; the pattern says what they can check.
  const { description: _, default: __, examples: ___, format, ...scalar } = part;
  return format === undefined ? scalar : { ...scalar, pattern: formats[format].pattern };
}

function worthSaying(standard: unknown): { default?: unknown } {
  const empty = typeof standard === 'object' && standard !== null && Object.keys(standard).length === 0;
  return standard === undefined || (empty && !Array.isArray(standard)) ? {} : { default: standard };
}

const lineWidth = 120;

/** JSON as the formatter of this repository writes it: a list stands on one line if it fits and holds no object. */
function formatted(value: unknown, indent: string, column: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const line = oneLine(value);
    if (!line.includes('{') && column + line.length < lineWidth) return line;
    return `[\n${value.map((item) => inner + formatted(item, inner, inner.length)).join(',\n')}\n${indent}]`;
  }
  const lines = Object.entries(value).map(([name, item]) => {
    const key = `${inner}${JSON.stringify(name)}: `;
    return key + formatted(item, inner, key.length);
  });
  return `{\n${lines.join(',\n')}\n${indent}}`;
}

function oneLine(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(oneLine).join(', ')}]` : JSON.stringify(value);
}
