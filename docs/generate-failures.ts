import { writeFileSync } from 'node:fs';
import { type FailureCode, failureOf, failures } from '../src/core/failures.ts';
import { type FilesForm, filesForms, filesReply } from '../src/core/files-failures.ts';
import { type MailForm, mailForms, mailReply } from '../src/core/mail-failures.ts';

const faults = [
  { prefix: 'CLIENT_', title: "The client's fault" },
  { prefix: 'ORIGIN_', title: "The origin's fault" },
  { prefix: 'POLICY_', title: 'Refused by policy' },
  { prefix: 'GATEWAY_', title: "The gateway's own trouble" },
] as const;

const introduction = `# Failures

Every failure has one code, the same in the log, the metric, the page that a client sees and this list. The prefix says
whose fault it is. *Status* is the HTTP status where the failure is answered in HTTP, *alert* the TLS alert where it is
answered to a ClientHello (RFC 8446 section 6), *mail* the reply of SMTP: at STARTTLS in place of the consent, in the session, which ends
with it, or in place of the origin's answer to a mail; a dash where the failure cannot come up in mail ([protocols.md](protocols.md)). *files* is the reply of FTP: as greeting, in
place of the consent to AUTH TLS, at a command, in place of a data port (PASV, EPSV, PORT, EPRT), for a transfer, or in the
session, which ends with it.

What becomes of a flow whose origin fails its check is policy (\`onOriginFailure\`, \`originFailures\`, per asset too):
\`close\` it with the alert; \`warn\`, where the client meets a leaf that nobody trusts and behind it a page with code and
facts (since when the certificate has expired, which names it holds); or \`bypass\`, where the flow is passed on unread and
the client judges the real certificate, recorded with the code as \`gateway.bypassed_failure\`. A chain that leads to this
gateway's own authority (\`ORIGIN_CERT_OWN_AUTHORITY\`) or to a known abused one (\`ORIGIN_CERT_DISTRUSTED\`) is never
passed on: clients may trust it. With \`close\` and \`warn\` the origin gets no byte of the client.
Chromium tells its user of every alert about a certificate as \`ERR_BAD_SSL_CLIENT_AUTH_CERT\`; \`warn\` tells the reason.

After STARTTLS \`close\` and \`warn\` are told as \`454 4.7.5\`: there is no page in mail. \`bypass\` dials the origin anew, says EHLO and
STARTTLS again, and leaves client and origin to each other: TLS makes the server forget all that was said before. Think
before you choose it: most programs that use STARTTLS take any certificate (opportunistic security, RFC 7435), so that nobody
may judge that origin at all. After AUTH TLS (FTP) all three are \`close\`.

This page is made from \`src/core/failures.ts\` by \`npm run docs:failures\`; a test compares the two.
`;

/** The failure catalogue as a Markdown page, sorted by fault and then by code. */
export function failuresPage(): string {
  return [introduction, ...faults.map(({ prefix, title }) => section(prefix, title))].join('\n');
}

function section(prefix: string, title: string): string {
  const codes = (Object.keys(failures) as FailureCode[]).filter((code) => code.startsWith(prefix)).sort();
  const rows = codes.map((code) => {
    const { meaning, remedy, status, alert } = failureOf(code);
    return `| \`${code}\` | ${cell(meaning)} | ${cell(remedy)} | ${status} | \`${alert}\` | ${mailCell(code)} | ${filesCell(code)} |`;
  });
  return `## ${title}\n\n| code | meaning | remedy | status | alert | mail | files |\n|---|---|---|---|---|---|---|\n${rows.join('\n')}\n`;
}

const places: Readonly<Record<Exclude<MailForm, 'alert' | 'cut'>, string>> = {
  greeting: 'as greeting',
  starttls: 'at STARTTLS',
  warned: 'as greeting behind the untrusted leaf (`warn`)',
  command: 'at the command',
  session: 'in the session',
  mail: 'for the mail',
};

function mailCell(code: FailureCode): string {
  const forms = mailForms[code].map((form) => {
    if (form === 'alert') return 'alert where TLS begins';
    return form === 'cut' ? 'the connection ends' : `\`${mailReply(form, code)}\` ${places[form]}`;
  });
  return forms.length === 0 ? '–' : forms.join(', ');
}

const filesPlaces: Readonly<Record<Exclude<FilesForm, 'alert' | 'cut'>, string>> = {
  greeting: 'as greeting',
  auth: 'at AUTH TLS',
  command: 'at the command',
  port: 'for the data port',
  transfer: 'for the transfer',
  session: 'in the session',
};

function filesCell(code: FailureCode): string {
  const forms = filesForms(code).map((form) => {
    if (form === 'alert') return 'alert where TLS begins';
    return form === 'cut' ? 'the connection ends' : `\`${filesReply(form, code)}\` ${filesPlaces[form]}`;
  });
  return forms.length === 0 ? '–' : forms.join(', ');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

if (import.meta.main) writeFileSync(new URL('failures.md', import.meta.url), failuresPage());
