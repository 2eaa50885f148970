import type { RecordView } from './record-view.ts';

export interface LineStyle {
  /** Characters of a line; undefined where it may be as long as it likes. */
  readonly width: number | undefined;
  readonly colours: boolean;
}

const assetWidth = 12;
const clientWidth = 15;
/** Time, asset, client, and behind the target status, size and time with their gaps. */
const fixedWidth = 23 + 2 + assetWidth + 2 + clientWidth + 2 + 24;
const targetWidth = 48;
/** Room for the outcome behind the columns. */
const outcomeWidth = 32;

/** One line for a person: time, asset, client, request, status, size, milliseconds, outcome. */
export function recordLine(view: RecordView, { width, colours }: LineStyle): string {
  const paint = colours ? painted : (text: string) => text;
  const room = width === undefined ? undefined : Math.max(20, width - fixedWidth - outcomeWidth);
  const what = printable(`${view.method === '' ? '' : `${view.method} `}${view.target}`);
  const shown = room === undefined || what.length <= room ? what : `${what.slice(0, room - 1)}…`;
  const columns = [
    paint(localTime(view.timeMs), 'dim'),
    column(view.assetId, assetWidth),
    column(view.clientIp, clientWidth),
    shown.padEnd(room ?? targetWidth),
    paint(view.status.padStart(7), statusColour(view)),
    sizeText(view.bytes).padStart(6),
    (view.durationMs === undefined ? '' : `${view.durationMs}ms`).padStart(8),
    paint(printable(outcomeText(view)), outcomeColour(view)),
  ];
  return columns.join(' ').trimEnd();
}

/** What a record is about and what became of it, without the columns around it. */
export function recordSummary(view: RecordView): string {
  const { method, target, status } = view;
  return printable([method, target, status === '-' ? '' : status, outcomeText(view)].filter(Boolean).join(' '));
}

/** Text of a peer without what a terminal would obey: controls, and marks that turn the direction of writing. */
function printable(text: string): string {
  return text.replace(controls, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const controls = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function outcomeText({ kind, verdict, severity, ruleIds, failure, detail, evidence, label }: RecordView): string {
  switch (kind) {
    case 'transaction':
    case 'mail':
    case 'transfer':
    case 'messages':
      return [verdict === 'allow' ? '' : verdict, ruleIds.join(','), failure].filter(Boolean).join(' ');
    case 'flow':
      return [verdict, failure, failure === '' ? label : detail].filter(Boolean).join(' ');
    case 'alarm':
      return [severity, verdict, ruleIds.join(','), evidence].filter(Boolean).join(' ');
    case 'loss':
      return detail;
  }
}

type Colour = keyof typeof codes;
const codes = { dim: 2, red: 31, green: 32, yellow: 33, none: 0 } as const;

function painted(text: string, colour: Colour): string {
  return colour === 'none' ? text : `\x1b[${codes[colour]}m${text}\x1b[0m`;
}

function statusColour({ kind, status, failure }: RecordView): Colour {
  if (kind === 'alarm' || kind === 'loss') return 'red';
  if (kind === 'flow' || kind === 'messages') return failure === '' ? 'dim' : 'yellow';
  if (status.startsWith('5')) return 'red';
  return status.startsWith('4') || status === '-' ? 'yellow' : 'green';
}

function outcomeColour({ kind, verdict, failure }: RecordView): Colour {
  if (failure !== '' || kind === 'alarm' || kind === 'loss') return 'red';
  if (verdict === 'block' || verdict === 'reset' || verdict === 'refuse') return 'red';
  return kind === 'flow' ? 'dim' : 'none';
}

function column(text: string, width: number): string {
  return printable(text === '' ? '-' : text).padEnd(width);
}

function sizeText(bytes: number | undefined): string {
  if (bytes === undefined) return '';
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(bytes >= size * 10 ? 0 : 1)}${unit}`;
  }
  return `${bytes}`;
}

/** `2026-01-15 09:30:00.058` where this machine is. */
function localTime(timeMs: number): string {
  const time = new Date(timeMs - new Date(timeMs).getTimezoneOffset() * 60_000);
  return time.toISOString().slice(0, 23).replace('T', ' ');
}
