import { ratioOf, type Summary } from './report.ts';

interface Goal {
  readonly text: string;
  readonly value: number;
  readonly most: number;
}

const megabyte = 1_048_576;

/** What Daylight is to reach beside the others, one line each; nothing where a system that it needs was not run. */
export function formatGoals(summaries: readonly Summary[]): string {
  const goals = goalsOf(new Map(summaries.map((summary) => [summary.name, summary])));
  if (goals.length === 0) return '';
  const lines = goals.map(({ text, value, most }) => {
    const met = value <= most ? 'met' : 'MISSED';
    return `- ${met}: ${text}: ${value.toFixed(value < 10 ? 3 : 0)} (at most ${most.toFixed(most < 10 ? 3 : 0)})`;
  });
  return `## Goals\n\n${lines.join('\n')}\n`;
}

function goalsOf(by: ReadonlyMap<string, Summary>): readonly Goal[] {
  const own = by.get('daylight');
  if (own === undefined) return [];
  const direct = by.get('daylight-reverse');
  return [
    ...ratio('1 KB keep-alive to Squid', own, by.get('squid'), 'keep-alive', 0.75),
    ...ratio('1 KB keep-alive to mitmproxy', own, by.get('mitmproxy'), 'keep-alive', 1 / 15),
    ...ratio(
      'new TLS session to SSLsplit (with CONNECT, which SSLsplit is spared)',
      own,
      by.get('sslsplit'),
      'new-session',
      0.75,
    ),
    ...ratio(
      'new TLS session to SSLsplit (reverse, both without CONNECT)',
      direct,
      by.get('sslsplit'),
      'new-session',
      0.75,
    ),
    ...ratio('1 MB body to SSLsplit', own, by.get('sslsplit'), 'large-body', 1.25),
    ...ratio('h2 with 16 streams of 1 KB to HAProxy', own, by.get('haproxy'), 'h2-streams', 4),
    ...ratio('h2 with 16 streams of 1 KB to mitmproxy', own, by.get('mitmproxy'), 'h2-streams', 1 / 20),
    ...ratio(
      '1 MB HTML read in full to Squid, which reads none',
      by.get('daylight-bodies'),
      by.get('squid'),
      'html',
      1,
    ),
    ...ratio(
      '1 MB HTML in gzip read in full to Squid, which reads none',
      by.get('daylight-bodies'),
      by.get('squid'),
      'html-gzip',
      1,
    ),
    { text: 'idle RSS, MB', value: own.idleRss.median / megabyte, most: 160 },
    { text: 'peak RSS, MB', value: own.peakRss.most / megabyte, most: 500 },
  ];
}

function ratio(
  text: string,
  own: Summary | undefined,
  peer: Summary | undefined,
  workload: keyof Summary['cpu'],
  most: number,
): readonly Goal[] {
  if (own === undefined || peer === undefined) return [];
  const { median, least, most: highest } = ratioOf(own, peer, workload);
  if (Number.isNaN(median)) return [];
  return [{ text: `${text} (${least.toFixed(3)} to ${highest.toFixed(3)} in single passes)`, value: median, most }];
}
