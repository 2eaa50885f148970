import { originName } from '../demo/demo-origins.ts';
import { envelope } from '../demo/mail-steps.ts';
import type { PlayedStep } from '../demo/play-demo.ts';
import { webSamples } from '../demo/web-steps.ts';
import type { Demo } from './demo-gateway.ts';
import { recordSummary } from './record-line.ts';
import { recordView } from './record-view.ts';

/** What is said before the first step. */
export const introduction = `
Daylight demo: a gateway, four servers behind it and their clients, all on this machine.

`;

/** How a step is painted. */
type Paint = (text: string, code: number) => string;
const codes = { bold: 1, red: 31, green: 32 } as const;
const nameWidth = 10;

/** Colours for a terminal, or none. */
export function painter(colours: boolean): Paint {
  return colours ? (text, code) => `\x1b[${code}m${text}\x1b[0m` : (text) => text;
}

/** A step for people. */
export function stepText(step: PlayedStep, number: number, paint: Paint): string {
  const missed = step.claims.filter(({ holds }) => !holds).map(({ says }) => paint(says, codes.red));
  const verdict = step.ok ? paint('ok', codes.green) : paint('FAILED', codes.red);
  return [
    `${paint(`${number}. ${step.title}`, codes.bold)}: ${verdict}`,
    ...rows('client', step.client),
    ...rows('gateway', step.gateway),
    ...rows('origin', step.origin),
    ...rows('records', recorded(step)),
    ...rows('NOT SO', missed),
    '',
    '',
  ].join('\n');
}

function rows(name: string, texts: readonly string[]): readonly string[] {
  return texts.map((text, at) => `   ${(at === 0 ? name : '').padEnd(nameWidth)}${text}`);
}

/** Each record in short, and by what all of them are found. */
function recorded({ records }: PlayedStep): readonly string[] {
  const { labels = [], correlation_uid } = records[0]?.record.metadata ?? {};
  const views = records.flatMap(({ line }) => recordView(line) ?? []);
  const lines = views.map((view) => `${view.kind === 'alarm' ? 'alarms: ' : 'traffic:'} ${recordSummary(view)}`);
  return correlation_uid === undefined ? lines : [...lines, `tag "${labels.join('", "')}", flow ${correlation_uid}`];
}

/** What the user may try while gateway and origins stay. `command` is how Daylight is called here. */
export function keptText(demo: Demo, directory: string, command: string): string {
  const { gateway, origins, rulesFile, records } = demo;
  const ca = '--cacert certs/ca.pem';
  const web = `curl ${ca} --proxy http://127.0.0.1:${gateway.proxy.port} https://${originName}:${origins.web.port}`;
  const mail = `curl -sSv ${ca} --ssl-reqd smtp://${originName}:${gateway.mail.port} --mail-from ${envelope.from} --mail-rcpt ${envelope.to}`;
  const files = `curl -sS ${ca} --ssl-reqd ftp://demo:demo@${originName}:${gateway.files.port}/`;
  const mailing = (subject: string, file: string): string =>
    `${mail} -H 'Subject: ${subject}' -F '=Attached.' -F 'file=@samples/${file};encoder=base64'`;
  return `Gateway and servers stay. Try them by hand, in another terminal:

  cd ${directory}

  # The web: one request passes, one is blocked with 403.
  ${web}/orders -d '${webSamples.order}'
  ${web}/checkout -d '${webSamples.card}'

  # Mail: one passes with 250, one is blocked with 550.
  ${mailing('A report', 'report.pdf')}
  ${mailing('An invoice', 'invoice.pdf')}

  # Files: one passes, one is blocked with 550; the list shows what the server has.
  ${files} -T samples/orders.csv.gz
  ${files} -T samples/backup.txt
  ${files}

What is recorded:  ${command} logs --follow --directory ${records.directory}
Rules to change:   ${rulesFile}

Ctrl-C ends everything and removes ${directory}.
`;
}

/** What `--json` prints. */
export interface DemoReport {
  readonly ok: boolean;
  /** Where the gateway listens and what it writes: there as long as the demo is kept. */
  readonly gateway: Demo['gateway'] & { readonly ca: string; readonly records: string };
  readonly directory: string;
  readonly steps: readonly (Omit<PlayedStep, 'records'> & { readonly records: readonly unknown[] })[];
}

/** The steps for machines, with the records as they are in the files. */
export function reportOf(demo: Demo, steps: readonly PlayedStep[], directory: string): DemoReport {
  return {
    ok: steps.every(({ ok }) => ok),
    gateway: { ...demo.gateway, ca: demo.caFile, records: demo.records.directory },
    directory,
    steps: steps.map((step) => ({ ...step, records: step.records.map(({ record }) => record) })),
  };
}
