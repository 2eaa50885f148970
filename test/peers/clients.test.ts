import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProxyAgent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { childrenOf, residentBytes } from '../support/processes.ts';
import { gatewayField, isTransaction, type Line, labelOf, member } from '../support/record-fields.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const megabyte = randomBytes(1_000_000);
const hundredMegabytes = 100;
const isHere = hasProgram('nginx');

let gateway: RunningGateway;
let nginx: Nginx;
let port: number;
let directory: string;

beforeAll(async () => {
  if (!isHere) return;
  directory = mkdtempSync(join(tmpdir(), 'daylight-clients-'));
  const authority = await createTestAuthority();
  const locations = `
    if_modified_since before;
    location = /nothing { return 204; }
    location = /text.txt { gzip on; gzip_types text/plain; gzip_min_length 1; }
    location /upload/ { client_max_body_size 20m; dav_methods PUT; create_full_put_path on; }`;
  nginx = await startNginx(await authority.issue({ names: ['localhost'], keyType: 'rsa' }), locations);
  writeFileSync(join(nginx.root, 'index.html'), '<p>hello</p>\n');
  writeFileSync(join(nginx.root, 'text.txt'), 'the quick brown fox '.repeat(100));
  writeFileSync(join(nginx.root, '1m.bin'), megabyte);
  for (let part = 0; part < hundredMegabytes; part += 1) appendFileSync(join(nginx.root, '100m.bin'), megabyte);
  port = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['config/rules/*.yaml'] },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await nginx?.[Symbol.asyncDispose]();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

const proxy = (): string => `http://127.0.0.1:${port}`;
const url = (path: string): string => `https://localhost:${nginx.port}${path}`;
const curl = (...args: string[]): Promise<Ran> =>
  run('curl', ['-sS', '--max-time', '20', '--cacert', gateway.caFile, '--noproxy', '', '--proxy', proxy(), ...args]);
/** Lines of nginx for a path, with the number of the connection first. */
const servedOf = (path: string): readonly string[] => nginx.log().filter((line) => line.includes(` ${path} `));
const isOf = (path: string) => (line: Line) =>
  isTransaction(line) && member(line, 'http_request', 'url', 'path') === path;
async function transactions(path: string, many = 1): Promise<readonly Line[]> {
  const all = await gateway.waitForRecords('traffic', (lines) => lines.filter(isOf(path)).length >= many);
  return all.filter(isOf(path));
}

/** As a user's environment is, with the proxy in it and without what the test runner adds. */
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(NODE_|SSL_|GIT_|VITEST|.*_proxy$|.*CA_BUNDLE$)/i.test(name),
  );
  const home = { HOME: directory, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };
  return { ...Object.fromEntries(own), ...home, https_proxy: proxy(), SSL_CERT_FILE: gateway.caFile };
}

describe.runIf(isHere && hasProgram('python3'))('Python', () => {
  const python = (program: string, ...args: string[]) =>
    run('python3', ['-c', program, ...args], { env: environment() });

  it('reads with urllib, by nothing but its environment', async () => {
    const program = 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode(), end="")';
    expect(await python(program, url('/?urllib'))).toEqual({ code: 0, stdout: '<p>hello</p>\n', stderr: '' });
    expect(labelOf((await transactions('/'))[0])).toBe('Decryption Detection');
  });

  it('keeps a tunnel of http.client for several requests', async () => {
    const program = `
import http.client, ssl, sys
proxy, origin = int(sys.argv[1]), int(sys.argv[2])
client = http.client.HTTPSConnection("127.0.0.1", proxy, context=ssl.create_default_context(cafile=sys.argv[3]))
client.set_tunnel("localhost", origin)
for number in range(3):
    client.request("GET", "/1m.bin?%d" % number)
    answer = client.getresponse()
    print(answer.status, len(answer.read()))
client.request("HEAD", "/1m.bin")
answer = client.getresponse()
print(answer.status, answer.getheader("Content-Length"), len(answer.read()))
`;
    const ran = await python(program, String(port), String(nginx.port), gateway.caFile);
    expect(ran).toEqual({ code: 0, stdout: `${'200 1000000\n'.repeat(3)}200 1000000 0\n`, stderr: '' });
    const connections = servedOf('/1m.bin?0')
      .concat(servedOf('/1m.bin?2'))
      .map((line) => line.split(' ')[0]);
    expect(new Set(connections).size).toBe(1);
  });
});

describe.runIf(isHere)('undici', () => {
  it('sends many requests at once through its ProxyAgent', async () => {
    const agent = new ProxyAgent({ uri: proxy(), requestTls: { ca: readFileSync(gateway.caFile) }, connections: 4 });
    const answers = await Promise.all(
      Array.from({ length: 24 }, async (_, number) => {
        const answer = await undiciFetch(url(`/1m.bin?undici=${number}`), { dispatcher: agent });
        const digest = createHash('sha256')
          .update(Buffer.from(await answer.arrayBuffer()))
          .digest('hex');
        return `${answer.status} ${digest}`;
      }),
    );
    await agent.close();
    expect(new Set(answers)).toEqual(new Set([`200 ${createHash('sha256').update(megabyte).digest('hex')}`]));
    const served = Array.from({ length: 24 }, (_, number) => servedOf(`/1m.bin?undici=${number}`)).flat();
    expect(new Set(served.map((line) => line.split(' ')[0])).size).toBeLessThanOrEqual(4);
  });
});

describe.runIf(isHere && hasProgram('wget'))('wget', () => {
  it('downloads a megabyte, byte for byte, and asks again only if it changed', async () => {
    const wget = () =>
      run('wget', ['-q', '-N', '--no-hsts', `--ca-certificate=${gateway.caFile}`, url('/1m.bin')], {
        cwd: directory,
        env: environment(),
      });
    expect(await wget()).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(join(directory, '1m.bin')).equals(megabyte)).toBe(true);
    expect((await wget()).code).toBe(0);
    expect(servedOf('/1m.bin').at(-1)).toContain(' 304 0');
  });
});

describe.runIf(isHere && hasProgram('git'))('git', () => {
  it('clones over HTTPS', async () => {
    const git = async (...args: string[]): Promise<string> => {
      const identity = ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', '-c', 'init.defaultBranch=main'];
      const ran = await run('git', [...identity, ...args], { cwd: directory, env: environment() });
      expect(ran).toMatchObject({ code: 0 });
      return ran.stdout;
    };
    await git('init', '-q', 'work');
    writeFileSync(join(directory, 'work', 'file.bin'), megabyte);
    await git('-C', 'work', 'add', '.');
    await git('-C', 'work', 'commit', '-q', '-m', 'first');
    await git('clone', '-q', '--bare', 'work', join(nginx.root, 'repository.git'));
    await git('-C', join(nginx.root, 'repository.git'), 'update-server-info');
    await git('-c', `http.sslCAInfo=${gateway.caFile}`, 'clone', '-q', url('/repository.git'), 'copy');
    expect(readFileSync(join(directory, 'copy', 'file.bin')).equals(megabyte)).toBe(true);
    expect(servedOf('/repository.git/info/refs?service=git-upload-pack')).toHaveLength(1);
  });
});

describe.runIf(isHere && hasProgram('curl'))('nginx as the origin of curl', () => {
  it('serves GET, HEAD, 204, 304 and 404 over one connection', async () => {
    const each = [
      '-sS',
      '--cacert',
      gateway.caFile,
      '--proxy',
      proxy(),
      '-o',
      '/dev/null',
      '-w',
      '%{http_code} %{size_download}\n',
    ];
    const next = ['--next', ...each];
    const ran = await curl(
      ...[...each, url('/?mix')],
      ...[...next, '-I', url('/?mix')],
      ...[...next, url('/nothing')],
      ...[...next, '-z', new Date().toUTCString(), url('/?mix')],
      ...[...next, url('/missing')],
      ...[...next, url('/1m.bin?mix')],
    );
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toMatch(/^200 13\n200 0\n204 0\n304 0\n404 \d+\n200 1000000\n$/);
    const connections = new Set([...servedOf('/?mix'), ...servedOf('/1m.bin?mix')].map((line) => line.split(' ')[0]));
    expect(connections.size).toBe(1);
  });

  it('takes uploads and ranges', async () => {
    const upload = Buffer.concat(Array.from({ length: 5 }, () => megabyte));
    writeFileSync(join(directory, 'upload.bin'), upload);
    const put = await curl('-T', join(directory, 'upload.bin'), '-w', '%{http_code}', url('/upload/there.bin'));
    expect(put).toMatchObject({ code: 0, stderr: '' });
    expect(put.stdout.slice(-3)).toBe('201');
    expect(readFileSync(join(nginx.root, 'upload', 'there.bin')).equals(upload)).toBe(true);
    const range = await curl(
      '-r',
      '10-19',
      '-w',
      '%{http_code} %{size_download}',
      '-o',
      '/dev/null',
      url('/1m.bin?range'),
    );
    expect(range.stdout).toBe('206 10');
  });

  it('compresses: the bytes pass as they are, and what they say is inspected and recorded', async () => {
    const ran = await curl('--compressed', '-D', '-', url('/text.txt'));
    expect(ran.stdout).toMatch(/content-encoding: gzip/i);
    expect(ran.stdout).toContain('the quick brown fox the quick');
    const [line] = await transactions('/text.txt');
    expect(gatewayField(line, 'not_inspected')).toBeUndefined();
    expect(gatewayField(line, 'response_body')).toMatchObject({ text: expect.stringContaining('the quick brown fox') });
  });

  it('sends 100 MB byte for byte, and 300 MB in bounded memory of the relay', async () => {
    await curl('-o', '/dev/null', url('/1m.bin'));
    const [relay = 0] = childrenOf(gateway.pid);
    const before = residentBytes(relay);
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, residentBytes(relay));
    }, 20);
    const target = join(directory, '100m.bin');
    const each = ['-sS', '--cacert', gateway.caFile, '--proxy', proxy(), '-w', '%{http_code} %{size_download}\n'];
    const again = ['--next', ...each, '-o', '/dev/null', url('/100m.bin')];
    const ran = await curl(...each, '-o', target, url('/100m.bin'), ...again, ...again);
    clearInterval(watch);
    const size = hundredMegabytes * megabyte.length;
    expect(ran).toEqual({ code: 0, stdout: `200 ${size}\n`.repeat(3), stderr: '' });
    const downloaded = readFileSync(target);
    for (let at = 0; at < downloaded.length; at += megabyte.length) {
      expect(downloaded.subarray(at, at + megabyte.length).equals(megabyte)).toBe(true);
    }
    // Spent receive buffers wait for the collector, which comes when there are some dozens of megabytes of them.
    expect(peak - before).toBeLessThan(180_000_000);
    const lines = await transactions('/100m.bin', 3);
    for (const line of lines) expect(line).toMatchObject({ status_id: 1, http_response: { body_length: size } });
  });
});
