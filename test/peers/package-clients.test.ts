import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

/** What developers' machines do all day: npm, git with pushes, and images to and from a container registry. */

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

let authority: TestAuthority;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-packages-'));
  authority = await createTestAuthority();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const gatewayWith = (listener: object): Promise<RunningGateway> =>
  startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [listener],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['config/rules/*.yaml'] },
    },
  });
/** A user's environment: nothing of the test runner and of other proxies in it. */
function environment(extra: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, HOME: directory, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0', ...extra };
}
const requested = (lines: readonly Line[], method: string, path: RegExp): readonly Line[] =>
  lines.filter(
    (line) =>
      isTransaction(line) &&
      member(line, 'http_request', 'http_method') === method &&
      path.test(String(member(line, 'http_request', 'url', 'path'))),
  );

describe.runIf(hasProgram('npm') && hasProgram('tar'))('npm', () => {
  let registry: TestOrigin;
  let gateway: RunningGateway;
  let tarball: Buffer;
  let port: number;

  beforeAll(async () => {
    const source = join(directory, 'package');
    mkdirSync(source);
    writeFileSync(join(source, 'package.json'), JSON.stringify({ name: 'probe', version: '1.2.3', main: 'index.js' }));
    writeFileSync(join(source, 'index.js'), 'module.exports = "installed";\n');
    writeFileSync(join(source, 'weight.bin'), randomBytes(2_000_000));
    await run('tar', ['-czf', 'probe.tgz', 'package'], { cwd: directory });
    tarball = readFileSync(join(directory, 'probe.tgz'));
    const answer: RequestListener = (request, response) => {
      if (request.url === '/probe/-/probe-1.2.3.tgz') return void response.end(tarball);
      response.setHeader('content-type', 'application/json');
      const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
      const dist = { tarball: `https://localhost:${registry.port}/probe/-/probe-1.2.3.tgz`, integrity };
      const version = { name: 'probe', version: '1.2.3', main: 'index.js', dist };
      response.end(JSON.stringify({ name: 'probe', 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': version } }));
    };
    registry = await startOrigin(await authority.issue({ names: ['localhost'] }), answer);
    port = await freePort();
    gateway = await gatewayWith({ mode: 'explicit', listen: `127.0.0.1:${port}` });
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  });

  it('installs a package, whose integrity holds', { timeout: 90_000 }, async () => {
    const project = join(directory, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true }');
    const options = {
      registry: `https://localhost:${registry.port}/`,
      'https-proxy': `http://127.0.0.1:${port}`,
      cafile: gateway.caFile,
      cache: join(directory, 'npm-cache'),
    };
    const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const ran = await run('npm', ['install', 'probe', '--no-audit', '--no-fund', ...flags], {
      cwd: project,
      env: environment({}),
      timeoutMs: 60_000,
    });
    expect(ran).toMatchObject({ code: 0 });
    const installed = join(project, 'node_modules', 'probe');
    // Not toEqual, which takes a quarter of a minute to compare so many bytes.
    const weight = readFileSync(join(directory, 'package', 'weight.bin'));
    expect(readFileSync(join(installed, 'weight.bin')).equals(weight)).toBe(true);
    const lines = await gateway.waitForRecords('traffic', (all) => requested(all, 'GET', /\.tgz$/).length > 0);
    expect(requested(lines, 'GET', /^\/probe$/)).toHaveLength(1);
    expect(requested(lines, 'GET', /\.tgz$/)[0]).toMatchObject({ http_response: { body_length: tarball.length } });
  });
});

const gitBackend = '/usr/lib/git-core/git-http-backend';
const servesGit = hasProgram('git') && hasProgram('nginx') && hasProgram('fcgiwrap') && existsSync(gitBackend);

describe.runIf(servesGit).each(['', 'http2'] as const)('git over smart HTTP (%s)', (http2) => {
  let backend: ChildProcess;
  let nginx: Nginx;
  let gateway: RunningGateway;
  let port: number;

  beforeAll(async () => {
    const socket = join(directory, `git-${http2}.socket`);
    backend = spawn('fcgiwrap', ['-s', `unix:${socket}`], { stdio: 'ignore' });
    const parameters = {
      SCRIPT_FILENAME: gitBackend,
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: '1',
      HOME: directory,
      PATH_INFO: '$uri',
      QUERY_STRING: '$query_string',
      REQUEST_METHOD: '$request_method',
      CONTENT_TYPE: '$content_type',
      CONTENT_LENGTH: '$content_length',
      REMOTE_USER: 'ann',
      HTTP_GIT_PROTOCOL: '$http_git_protocol',
    };
    const lines = Object.entries(parameters).map(([name, value]) => `fastcgi_param ${name} ${value};`);
    const location = `location / { client_max_body_size 0; fastcgi_pass unix:${socket}; ${lines.join(' ')} }`;
    nginx = await startNginx(await authority.issue({ names: ['localhost'] }), location, http2);
    port = await freePort();
    gateway = await gatewayWith({ mode: 'explicit', listen: `127.0.0.1:${port}` });
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await nginx?.[Symbol.asyncDispose]();
    backend?.kill('SIGTERM');
  });

  it('pushes more than a buffer holds, and clones it again', { timeout: 90_000 }, async () => {
    const git = async (...args: string[]): Promise<void> => {
      const options = { 'user.name': 'Ann', 'user.email': 'ann@example.org', 'init.defaultBranch': 'main' };
      const secure = { 'http.sslCAInfo': gateway.caFile, 'http.proxy': `http://127.0.0.1:${port}` };
      const given = Object.entries({ ...options, ...secure }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
      const ran = await run('git', [...given, ...args], { cwd: directory, env: environment({}), timeoutMs: 60_000 });
      expect(ran, ran.stderr).toMatchObject({ code: 0 });
    };
    const name = `repository${http2}.git`;
    const [work, copy] = [`work${http2}`, `copy${http2}`];
    const content = randomBytes(6_000_000);
    await git('init', '-q', '--bare', name);
    await git('-C', name, 'config', 'http.receivepack', 'true');
    await git('init', '-q', work);
    writeFileSync(join(directory, work, 'file.bin'), content);
    await git('-C', work, 'add', '.');
    await git('-C', work, 'commit', '-q', '-m', 'first');
    await git('-C', work, 'push', '-q', `https://localhost:${nginx.port}/${name}`, 'main');
    await git('clone', '-q', `https://localhost:${nginx.port}/${name}`, copy);
    expect(readFileSync(join(directory, copy, 'file.bin')).equals(content)).toBe(true);
    const isPack = (lines: readonly Line[]) => requested(lines, 'POST', /git-receive-pack$/);
    const lines = await gateway.waitForRecords('traffic', (all) => isPack(all).length > 0);
    const version = http2 === '' ? '1.1' : '2';
    expect(isPack(lines).map((line) => member(line, 'http_request', 'version'))).toContain(version);
  });
});

describe.runIf(hasProgram('docker-registry') && hasProgram('skopeo') && hasProgram('curl'))(
  'a container registry',
  () => {
    let registry: ChildProcess;
    let gateway: RunningGateway;
    let port: number;
    let base: string;

    beforeAll(async () => {
      const registryPort = await freePort();
      const { cert, key } = await authority.issue({ names: ['localhost'] });
      const at = (name: string): string => join(directory, name);
      writeFileSync(at('registry.pem'), cert);
      writeFileSync(at('registry.key'), key, { mode: 0o600 });
      const configuration = {
        version: 0.1,
        log: { level: 'error' },
        storage: { filesystem: { rootdirectory: at('registry') } },
        http: {
          addr: `127.0.0.1:${registryPort}`,
          relativeurls: true,
          tls: { certificate: at('registry.pem'), key: at('registry.key') },
        },
      };
      writeFileSync(at('registry.yml'), JSON.stringify(configuration));
      registry = spawn('docker-registry', ['serve', at('registry.yml')], { stdio: 'ignore' });
      port = await freePort();
      base = `https://localhost:${port}/v2/tools/probe`;
      // Programs in Go send nothing for localhost to a proxy.
      const origin = `localhost:${registryPort}`;
      gateway = await gatewayWith({ mode: 'reverse', listen: `127.0.0.1:${port}`, origin });
      await waitUntil(
        () => spawnSync('curl', ['-sk', `https://${origin}/v2/`], { encoding: 'utf8' }).stdout === '{}',
        () => 'the registry does not start',
      );
    });
    afterAll(async () => {
      await gateway?.[Symbol.asyncDispose]();
      registry?.kill('SIGTERM');
    });

    const curl = (...args: string[]): Promise<Ran> =>
      run('curl', ['-sS', '--max-time', '30', '--cacert', gateway.caFile, ...args]);
    const skopeo = async (...args: string[]): Promise<void> => {
      const certificates = join(directory, 'skopeo');
      mkdirSync(certificates, { recursive: true });
      writeFileSync(join(certificates, 'ca.crt'), readFileSync(gateway.caFile));
      const ran = await run('skopeo', ['--insecure-policy', '--tmpdir', directory, 'copy', ...args], {
        env: environment({}),
        timeoutMs: 60_000,
      });
      expect(ran, ran.stderr).toMatchObject({ code: 0 });
    };

    it('takes an image from skopeo and gives it back', async () => {
      const image = join(directory, 'image');
      const layer = writeImage(image);
      const certificates = join(directory, 'skopeo');
      await skopeo('--dest-cert-dir', certificates, `oci:${image}:v1`, `docker://localhost:${port}/tools/probe:v1`);
      const back = join(directory, 'back');
      await skopeo('--src-cert-dir', certificates, `docker://localhost:${port}/tools/probe:v1`, `oci:${back}:v1`);
      expect(readdirSync(join(back, 'blobs', 'sha256'))).toContain(layer);
      expect(sha256(readFileSync(join(back, 'blobs', 'sha256', layer)))).toBe(layer);
      const uploads = (lines: readonly Line[]) => requested(lines, 'PATCH', /\/blobs\/uploads\//);
      const lines = await gateway.waitForRecords('traffic', (all) => uploads(all).length >= 2);
      for (const line of uploads(lines)) expect(line).toMatchObject({ status_id: 1, http_response: { code: 202 } });
    });

    it.each(['--http1.1', '--http2'])('takes a blob in chunks from curl %s', async (version) => {
      const chunks = Array.from({ length: 4 }, () => randomBytes(3_000_000));
      const begun = await curl(version, '-i', '-X', 'POST', `${base}/blobs/uploads/`);
      let location = locationOf(begun, port);
      let sent = 0;
      for (const chunk of chunks) {
        const file = join(directory, 'chunk.bin');
        writeFileSync(file, chunk);
        const range = `Content-Range: ${sent}-${sent + chunk.length - 1}`;
        const type = 'Content-Type: application/octet-stream';
        const patched = await curl(version, '-i', '-X', 'PATCH', '-H', range, '-H', type, '-T', file, location);
        expect(patched.stdout).toMatch(/^HTTP\/\S+ 202/m);
        location = locationOf(patched, port);
        sent += chunk.length;
      }
      const digest = sha256(Buffer.concat(chunks));
      const put = await curl(version, '-i', '-X', 'PUT', `${location}&digest=sha256:${digest}`);
      expect(put.stdout).toMatch(/^HTTP\/\S+ 201/m);
      const target = join(directory, 'blob.bin');
      await curl(version, '-o', target, `${base}/blobs/sha256:${digest}`);
      expect(sha256(readFileSync(target))).toBe(digest);
    });
  },
);

function locationOf({ stdout }: Ran, port: number): string {
  const location = /^location: (\S+)/im.exec(stdout)?.[1] ?? '';
  return location.startsWith('/') ? `https://localhost:${port}${location}` : location;
}

/** Writes an image of one layer as an OCI layout; returns the digest of the layer. */
function writeImage(folder: string): string {
  const blobs = join(folder, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (bytes: Buffer): { digest: string; size: number } => {
    writeFileSync(join(blobs, sha256(bytes)), bytes);
    return { digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  };
  const content = randomBytes(8_000_000);
  const layer = put(gzipSync(content));
  const rootfs = { type: 'layers', diff_ids: [`sha256:${sha256(content)}`] };
  const config = put(Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs })));
  const type = (name: string): string => `application/vnd.oci.image.${name}`;
  const manifest = put(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: type('manifest.v1+json'),
        config: { mediaType: type('config.v1+json'), ...config },
        layers: [{ mediaType: type('layer.v1.tar+gzip'), ...layer }],
      }),
    ),
  );
  const entry = {
    mediaType: type('manifest.v1+json'),
    ...manifest,
    annotations: { 'org.opencontainers.image.ref.name': 'v1' },
  };
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return layer.digest.slice('sha256:'.length);
}
