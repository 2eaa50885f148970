import { writeFileSync } from 'node:fs';
import { bypassesHelp } from '../src/control/bypasses-command.ts';
import { caHelp } from '../src/control/ca-command.ts';
import { checkHelp } from '../src/control/check-command.ts';
import { demoHelp } from '../src/control/demo-command.ts';
import { execHelp } from '../src/control/exec-command.ts';
import { exitCodes } from '../src/control/exit-codes.ts';
import { logsHelp } from '../src/control/logs-command.ts';
import { netHelp } from '../src/control/net-command.ts';
import { selftestHelp } from '../src/control/selftest-command.ts';
import { startHelp } from '../src/control/start-command.ts';

const introduction = `# Command line

\`\`\`
npm start                          starts the gateway with config/daylight.yaml
npm start -- COMMAND [OPTIONS]     any command, in a checkout
daylight COMMAND [OPTIONS]         any command, where the package is installed
node src/main.ts COMMAND [OPTIONS] any command, with a Node 26 of your own
\`\`\`

Any Node from 20 on may start it: \`bin/daylight.js\` finds the Node 26 that npm installed and replaces itself by it.
\`--help\` after a command explains it, \`--version\` names the versions of Daylight and Node.

**Environment.** Variables that change what Node or OpenSSL trusts, loads or reveals never reach the gateway:
\`NODE_OPTIONS\`, \`NODE_TLS_REJECT_UNAUTHORIZED\`, \`NODE_EXTRA_CA_CERTS\`, \`NODE_USE_SYSTEM_CA\`, \`NODE_PATH\`,
\`OPENSSL_CONF\`, \`OPENSSL_MODULES\`, \`OPENSSL_ENGINES\`, \`SSL_CERT_FILE\`, \`SSL_CERT_DIR\` and \`SSLKEYLOGFILE\`. Where one is
set, the process starts itself anew without it, and \`start\` says so in one line. Roots that the gateway shall trust stand
in \`originTrust.files\`. The command of \`exec\` gets its environment as it was given.

**Compiled sources.** \`start\` keeps its sources compiled in \`node_modules/.cache/daylight\`, or in \`~/.cache/daylight\`
where that cannot be written, and fills it before the first start: each process then needs about 20 MB less. Only a
directory that nobody else can write to is used. It may be deleted at any time.

This page is made from the help of the commands by \`npm run docs:cli\`; a test compares the two.
`;

const meanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: 'done',
  failed: 'failed; standard error says why',
  usage: 'unknown command or option, or one that is missing',
  config: 'the configuration, a rule file or a file of roots is not valid',
  listen: 'an address is in use, may not be opened, or lacks a privilege that its mode needs',
  authority: "the authority's key or certificate cannot be used",
  gateway: '`exec`, `demo` and `selftest`: no gateway could be started, or none runs',
  notExecutable: '`exec` only: the command may not be run',
  notFound: '`exec` only: there is no such command',
};

const commands = [
  ['start', startHelp],
  ['demo', demoHelp],
  ['check', checkHelp],
  ['ca', caHelp],
  ['bypasses', bypassesHelp],
  ['exec', execHelp],
  ['logs', logsHelp],
  ['net', netHelp],
  ['selftest', selftestHelp],
] as const;

const execTable = `Variables that \`exec\` sets, all of them to the gateway's address or to files that end with the command:

| for | variables |
|---|---|
| proxy | \`HTTP_PROXY\`, \`HTTPS_PROXY\`, \`ALL_PROXY\` and their lower-case forms; \`NO_PROXY\` is emptied |
| curl, Python, Ruby, PHP, .NET, Rust, Go | \`SSL_CERT_FILE\`, \`CURL_CA_BUNDLE\`, \`REQUESTS_CA_BUNDLE\`, \`PIP_CERT\`, \`HTTPLIB2_CA_CERTS\` |
| Node, Deno, npm | \`NODE_EXTRA_CA_CERTS\`, \`NODE_USE_ENV_PROXY\` (read from Node 22.21 and 24 on), \`DENO_CERT\`, \`npm_config_cafile\` |
| Git, Cargo, Wget, Perl, Nix | \`GIT_SSL_CAINFO\`, \`CARGO_HTTP_CAINFO\`, \`WGETRC\`, \`PERL_LWP_SSL_CA_FILE\`, \`NIX_SSL_CERT_FILE\` |
| cloud tools, gRPC | \`AWS_CA_BUNDLE\`, \`CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE\`, \`GRPC_DEFAULT_SSL_ROOTS_FILE_PATH\` |
| Java | \`JAVA_TOOL_OPTIONS\`: proxy and trust store as system properties; Java says in one line that it read them |

The bundle holds the roots that the command would have trusted without Daylight, and the CA. Go sends nothing for
localhost through a proxy, whatever its variables say.
`;

/** The command line as a Markdown page. */
export function cliPage(): string {
  const sections = commands.map(
    ([name, help]) => `## ${name}\n\n\`\`\`\n${help.trimEnd()}\n\`\`\`\n${name === 'exec' ? `\n${execTable}` : ''}`,
  );
  return [introduction, ...sections, exitCodesSection()].join('\n');
}

function exitCodesSection(): string {
  const rows = (Object.keys(exitCodes) as (keyof typeof exitCodes)[]).map(
    (name) => `| ${exitCodes[name]} | ${meanings[name]} |`,
  );
  const signals = '| 128 + n | `exec` only: signal n ended the command |';
  return `## Exit codes\n\n| code | meaning |\n|---|---|\n${[...rows, signals].join('\n')}\n`;
}

if (import.meta.main) writeFileSync(new URL('cli.md', import.meta.url), cliPage());
