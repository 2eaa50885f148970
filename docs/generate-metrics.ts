import { writeFileSync } from 'node:fs';
import { metricHelp } from '../src/metrics/exposition.ts';

const introduction = `# Metrics

With \`admin: { listen: "127.0.0.1:9900" }\` the gateway serves \`/metrics\` in the text format of Prometheus and \`/health\`
(200 when a relay accepts and flows are not refused for want of records, else 503). The admin address is never reachable through the proxy itself.

Failures are counted by their code of [failures.md](failures.md). This page is made from \`src/metrics/exposition.ts\` by
\`npm run docs:metrics\`; a test compares the two.

| metric | type | meaning |
|---|---|---|
`;

/** The metrics as a Markdown page, in the order of the exposition. */
export function metricsPage(): string {
  const rows = Object.entries(metricHelp).map(([name, { type, help }]) => `| \`${name}\` | ${type} | ${help} |`);
  return `${introduction}${rows.join('\n')}\n`;
}

if (import.meta.main) writeFileSync(new URL('metrics.md', import.meta.url), metricsPage());
