import type { FormatName, FormatValue } from './formats.ts';

/** What every key says about itself; the reference page and editors show it. */
interface Annotations {
  readonly description: string;
  /** Taken when the key is absent, written as in the file. A key without default that is not required stays undefined. */
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
}

/**
 * The part of JSON Schema (draft 7) that the configuration is written in. One constant of these types is the single
 * source of the TypeScript types (`ValueOf`), of validation (read-value.ts), of the schema for editors and of the
 * reference page.
 */
export type Schema = ScalarSchema | ArraySchema | ObjectSchema | UnionSchema;

export interface ScalarSchema extends Annotations {
  readonly type: 'string' | 'boolean' | 'integer' | readonly ['integer', 'string'];
  readonly const?: string;
  readonly enum?: readonly string[];
  /** Parses the text (formats.ts); its pattern goes into the schema for editors. */
  readonly format?: FormatName;
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface ArraySchema extends Annotations {
  readonly type: 'array';
  readonly items: Schema;
  readonly minItems?: number;
}

export interface ObjectSchema extends Annotations {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
}

/** Objects told apart by one key with a constant, the discriminator. */
export interface UnionSchema extends Annotations {
  readonly discriminator: { readonly propertyName: string };
  readonly oneOf: readonly ObjectSchema[];
}

/** The value that a valid file gives for a schema: formats parsed, defaults filled in. */
export type ValueOf<S> = S extends { readonly oneOf: readonly (infer Branch)[] }
  ? ValueOf<Branch>
  : S extends { readonly const: infer Constant }
    ? Constant
    : S extends { readonly enum: readonly (infer Choice)[] }
      ? Choice
      : S extends { readonly format: infer Name extends FormatName }
        ? FormatValue<Name>
        : S extends { readonly type: 'array'; readonly items: infer Items }
          ? readonly ValueOf<Items>[]
          : S extends { readonly type: 'object'; readonly properties: infer Properties; readonly required: infer R }
            ? ObjectValue<Properties, R extends readonly (infer Name)[] ? Name : never>
            : S extends { readonly type: 'boolean' }
              ? boolean
              : S extends { readonly type: 'integer' }
                ? number
                : string;

type ObjectValue<Properties, Required> = {
  readonly [Key in keyof Properties]:
    | ValueOf<Properties[Key]>
    | (Key extends Required ? never : Properties[Key] extends { readonly default: unknown } ? never : undefined);
};
