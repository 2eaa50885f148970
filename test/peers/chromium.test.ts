import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failureIn, loadPage, loadPublished, trustingHome } from '../support/chromium.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { originShapes, shapeExceptions } from '../support/origin-shapes.ts';
import { hasProgram, type Ran } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const page = '<!doctype html><p id="p">as sent</p><script src="/app.js"></script>\n';
const script = 'document.getElementById("p").textContent = "changed by a script";\n';

/** By coding: a script that tells card numbers. */
const coders: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  zstd: zstdCompressSync,
};
const cards = ['4111111111111111', '5500005555555559', '371449635398431', '4012888888881881', '6011000990139424'];
const tell = (coding: string): Buffer =>
  Buffer.from(`document.getElementById("p").textContent += " ${coding} ${cards.join(' ')};";`);
const masking = `
- { id: mask, title: Cards, action: redact, when: { all: [{ field: http.path, prefix: /cards/ }, { field: http.response.body, detector: card_number }] } }
`;
const cardsPage = `<!doctype html><p id="p"></p>${Object.keys(coders)
  .map((coding) => `<script src="/cards/${coding}.js"></script>`)
  .join('')}`;

let authority: TestAuthority;
let gateway: RunningGateway;
let origin: TestOrigin;
let expired: TestOrigin;
let port: number;
let directory: string;

describe.runIf(hasProgram('chromium') && hasProgram('certutil'))('Chromium', () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'daylight-chromium-'));
    authority = await createTestAuthority();
    origin = await startOrigin(await authority.issue({ names: ['localhost'] }), (request, response) => {
      const [, coding = ''] = /^\/cards\/(.*)\.js$/.exec(request.url ?? '') ?? [];
      const coded = coders[coding]?.(tell(coding));
      if (coded !== undefined) response.setHeader('content-encoding', coding);
      const isScript = request.url?.endsWith('.js') === true;
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
      response.end(coded ?? (isScript ? script : request.url === '/cards' ? cardsPage : page));
    });
    expired = await startOrigin(
      await authority.issue({ names: ['localhost'], validFromMs: -7_200_000, validForMs: -3_600_000 }),
    );
    port = await freePort();
    gateway = await startGateway({
      files: { 'roots.pem': authority.rootPem, 'masking.yaml': masking },
      config: {
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
        originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
        rules: { files: ['$DIRECTORY/masking.yaml'] },
      },
    });
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await origin?.[Symbol.asyncDispose]();
    await expired?.[Symbol.asyncDispose]();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  it('loads a page and its script behind a leaf of a CA that its user trusts', async () => {
    const loaded = await load(await home('trusting', gateway.caFile), origin);
    expect(failureIn(loaded)).toBeUndefined();
    expect(loaded.stdout).toContain('<p id="p">changed by a script</p>');
    expect(origin.requests).toContain('GET /app.js');
  });

  it('reads scripts in every coding that were masked and coded anew', async () => {
    const loaded = await load(await home('masked', gateway.caFile), origin, 'cards');
    const shown = /<p id="p">([^<]*)</.exec(loaded.stdout)?.[1];
    const stars = cards.map((card) => '*'.repeat(card.length)).join(' ');
    expect(shown).toBe(
      Object.keys(coders)
        .map((coding) => ` ${coding} ${stars};`)
        .join(''),
    );
  });

  it('loads nothing for a user who does not trust the CA', async () => {
    const before = origin.requests.length;
    const refused = await load(await home('strange', undefined), origin);
    expect(failureIn(refused)).toBe('ERR_CERT_AUTHORITY_INVALID');
    expect(origin.requests.length).toBe(before);
  });

  it('is refused, whomever its user trusts, where the origin fails its check', async () => {
    const refused = await load(await home('deceived', gateway.caFile), expired);
    // So Chromium calls every alert about a certificate.
    expect(failureIn(refused)).toBe('ERR_BAD_SSL_CLIENT_AUTH_CERT');
    expect(expired.bytesReceived()).toBe(0);
  });
});

describe.runIf(hasProgram('chromium') && hasProgram('certutil'))('Chromium, at published endpoints', () => {
  it('takes the leaf of every shape of origin, and none without the CA', { timeout: 120_000 }, async () => {
    const own = await createTestAuthority();
    await using stack = new AsyncDisposableStack();
    const homes = mkdtempSync(join(tmpdir(), 'daylight-shapes-'));
    stack.defer(() => rmSync(homes, { recursive: true, force: true }));
    const listeners: object[] = [];
    const urls: string[] = [];
    // One page has a script of each of the others; which of them ran stands in it.
    for (const [host, wishes] of originShapes) {
      const shape: TestOrigin = stack.use(
        await startOrigin(await own.issue(wishes), (request, response) => {
          const isPage = request.url === '/';
          response.setHeader('content-type', isPage ? 'text/html' : 'text/javascript');
          const scripts = urls.map((url) => `<script src="${url}/s.js"></script>`).join('\n');
          response.end(isPage ? `<p id="p"></p>${scripts}` : `p.textContent += " ran:${host}";`);
        }),
      );
      const listen = await freePort();
      listeners.push({ mode: 'reverse', listen: `127.0.0.1:${listen}`, origin: `127.0.0.1:${shape.port}` });
      urls.push(`https://${host}:${listen}`);
    }
    const shaped = stack.use(
      await startGateway({
        files: { 'roots.pem': own.rootPem },
        config: {
          listeners,
          originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
          originExceptions: shapeExceptions,
        },
      }),
    );
    const [first = ''] = urls;
    const trusting = await loadPublished(await trustingHome(join(homes, 'trusting'), shaped.caFile), `${first}/`);
    const ran = trusting.stdout.match(/ran:[^ <]+/g)?.map((each) => each.slice(4));
    expect(ran?.toSorted()).toEqual(originShapes.map(([host]) => host).toSorted());
    expect(originShapes.length).toBeGreaterThanOrEqual(12);
    const strange = await loadPublished(await trustingHome(join(homes, 'strange'), undefined), `${first}/`);
    expect(failureIn(strange)).toBe('ERR_CERT_AUTHORITY_INVALID');
  });
});

const home = (name: string, caFile: string | undefined): Promise<string> => trustingHome(join(directory, name), caFile);

/** Prints the document that Chromium makes of the page of an origin, through the gateway. */
const load = (from: string, { port: originPort }: TestOrigin, path = ''): Promise<Ran> =>
  loadPage(from, port, `https://localhost:${originPort}/${path}`);
