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
  return `${JSON.stringify(standard, null, 2)}\n`;
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
