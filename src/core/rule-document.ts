import type { RuleAction, Severity } from './verdict.ts';

/** One rule after parsing of its file: plain JSON, validated, not yet compiled. */
export interface RuleDocument {
  readonly id: string;
  readonly title: string;
  readonly rev: number;
  readonly severity: Severity;
  readonly action: RuleAction;
  readonly tags: readonly string[];
  readonly when: RuleCondition;
  /** How much of a body waits until the rule is decided: its first bytes, or all of it, both within the limits of policy. */
  readonly hold?: 'start' | 'body';
  /** Of setHeader and removeHeader: the field, and its value when it is set. */
  readonly header?: { readonly message: ChangedMessage; readonly name: string; readonly value?: string };
  /** File and line, for errors and the console. */
  readonly source: string;
}

/** What has a head that rules and policy may change. */
export type ChangedMessage = 'request' | 'response' | 'mail';

export type RuleCondition =
  | { readonly all: readonly RuleCondition[] }
  | { readonly any: readonly RuleCondition[] }
  | { readonly not: RuleCondition }
  | FieldTest;

/** What is known of a file in a message. */
export type FileFact = 'name' | 'type' | 'declared' | 'sha256' | 'size' | ArchiveFact;

/** Facts of an archive: names and true types of its members, and why some were not looked into. */
export type ArchiveFact = 'member' | 'member.type' | 'archive';

/**
 * Fields that a rule may look at. Bodies are streamed, parts of forms and files become known with them; everything else is
 * known when the head is.
 */
export type RuleField =
  | 'http.request.line'
  | 'http.method'
  | 'http.host'
  | 'http.path'
  | 'http.query'
  | 'http.request.headers'
  | `http.request.header.${string}`
  | 'http.request.trailers'
  | `http.request.trailer.${string}`
  | 'http.request.body'
  | 'http.request.part.name'
  | `http.request.form.${string}`
  | `http.${'request' | 'response'}.file.${FileFact}`
  | 'http.response.status'
  | 'http.response.headers'
  | `http.response.header.${string}`
  | 'http.response.trailers'
  | `http.response.trailer.${string}`
  | 'http.response.body'
  | 'asset.id'
  | 'asset.kind'
  | 'client.ip'
  | 'origin.ip'
  | 'origin.port'
  | 'tls.sni'
  | 'websocket.message'
  | 'websocket.from'
  | 'websocket.type'
  | 'mail.helo'
  | 'mail.auth.mechanism'
  | 'mail.auth.identity'
  | 'mail.from'
  | 'mail.to'
  | 'mail.recipients'
  | 'mail.subject'
  | 'mail.headers'
  | `mail.header.${string}`
  | 'mail.part.type'
  | 'mail.part.body'
  | `mail.attachment.${FileFact}`
  | 'mail.size'
  | 'ftp.command'
  | 'ftp.direction'
  | 'ftp.path'
  | 'ftp.user'
  | 'ftp.body'
  | `ftp.file.${Exclude<FileFact, 'declared'>}`;

export interface FieldTest {
  readonly field: RuleField;
  /** Exactly one operator is set. */
  readonly equals?: string | number | readonly (string | number)[];
  readonly prefix?: string | readonly string[];
  readonly suffix?: string | readonly string[];
  /** Text (UTF-8), any of which occurs. */
  readonly contains?: string | readonly string[];
  /** Bytes in hex that the field starts with (file magic). */
  readonly startsWithHex?: string | readonly string[];
  /** A regular expression; on a body it needs `near`. */
  readonly regex?: string;
  /** Literals, one of which stands in every match of `regex`: the prefilter. */
  readonly near?: readonly string[];
  readonly detector?: 'card_number' | 'private_key' | 'cloud_credential';
  /** Distinct matches needed for the test to be true. */
  readonly count?: number;
  /** Host patterns (`example.com`, `*.example.com`) for host fields. */
  readonly hosts?: readonly string[];
  readonly cidr?: readonly string[];
  readonly greaterThan?: number;
  readonly lessThan?: number;
  readonly exists?: boolean;
  readonly nocase?: boolean;
}
