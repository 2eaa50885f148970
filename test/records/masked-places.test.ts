import { describe, expect, test } from 'vitest';
import { excerptText } from '../../src/records/excerpt.ts';
import { headText } from '../../src/records/header-text.ts';
import { maskText } from '../../src/records/redact.ts';
import { targetText } from '../../src/records/target-text.ts';
import { bodyExcerpt, excerptOf } from '../../src/rules/excerpt.ts';

/** A secret as a parameter, with the fields that come beside it. */
const parameters: readonly (readonly [parameters: string, secret: string])[] = [
  ['code=Zx9Kq7&state=xyz', 'Zx9Kq7'],
  ['state=xyz&code=Zx9Kq7', 'Zx9Kq7'],
  ['code=SplxlOBeZQQYbYS6WxSbIA', 'SplxlOBeZQQYbYS6WxSbIA'],
  ['code=4%2F0AX4XfWh-Zx9Kq7_1234', 'Zx9Kq7'],
  ['grant_type=authorization_code&code=Zx9Kq7&redirect_uri=x', 'Zx9Kq7'],
  ['client_id=a&device_code=Zx9Kq7', 'Zx9Kq7'],
  ['code_verifier=Zx9Kq7', 'Zx9Kq7'],
  ['refresh_token=Zx9Kq7', 'Zx9Kq7'],
  ['id_token_hint=Zx9Kq7', 'Zx9Kq7'],
  ['access_token=Zx9Kq7&token_type=bearer', 'Zx9Kq7'],
  ['client_assertion=Zx9Kq7', 'Zx9Kq7'],
  ['SAMLart=Zx9Kq7', 'Zx9Kq7'],
  ['SAMLResponse=Zx9Kq7', 'Zx9Kq7'],
  ['ticket=ST-1-aB3dE6gH9-Zx9Kq7', 'Zx9Kq7'],
  ['otp=Zx9Kq7', 'Zx9Kq7'],
  ['pin=Zx9Kq7', 'Zx9Kq7'],
  ['name=a&pass=Zx9Kq7', 'Zx9Kq7'],
  ['user%5Bpassword%5D=Zx9Kq7', 'Zx9Kq7'],
  ['X-Amz-Credential=a&X-Amz-Signature=Zx9Kq7', 'Zx9Kq7'],
  ['X-Goog-Signature=Zx9Kq7', 'Zx9Kq7'],
  ['sv=2024-11-04&sp=r&sig=Zx9Kq7', 'Zx9Kq7'],
  ['Expires=1&Signature=Zx9Kq7&Key-Pair-Id=K1', 'Zx9Kq7'],
  ['PHPSESSID=Zx9Kq7', 'Zx9Kq7'],
];

const flow = { scheme: 'https', port: 443 } as const;
const target = (path: string): string =>
  targetText({ method: 'GET', target: path, version: '1.1', host: 'x', headers: [] } as never, flow);
const excerpt = (text: string): string | undefined =>
  excerptText({ excerpt: Buffer.from(text), bytes: text.length, coding: undefined });
const header = (name: string, value: string): string => headText([[name, value]]).json;
const cutAlarm = (text: string, secret: string): string => {
  const at = text.indexOf(secret);
  const from = text.lastIndexOf('&', at) + 1;
  return excerptOf('http.request.body', text, from, at + secret.length - from);
};

/** A part of a record, made as the record makes it. */
const places: Readonly<Record<string, (parameters: string, secret: string) => string | undefined>> = {
  query: (all) => target(`/cb?${all}`),
  fragment: (all) => target(`/cb#${all}`),
  'absolute form': (all) => target(`http://x/cb?${all}`),
  'URL in a parameter': (all) => target(`/login?next=${encodeURIComponent(`https://x/cb?${all}`)}`),
  Referer: (all) => header('Referer', `https://x/cb?${all}`),
  Location: (all) => header('Location', `https://x/cb?${all}`),
  'Location with a fragment': (all) => header('Location', `https://x/cb#${all}`),
  'Content-Location': (all) => header('Content-Location', `/cb?${all}`),
  Refresh: (all) => header('Refresh', `0; url=https://x/cb?${all}`),
  Link: (all) => header('Link', `<https://x/cb?${all}>; rel=next`),
  form: (all) => excerpt(all),
  page: (all) => excerpt(`<p>Moved to <a href="https://x/cb?${all.replaceAll('&', '&amp;')}">here</a></p>`),
  script: (all) => excerpt(`location.href = '/cb?${all}';`),
  'URL in JSON': (all) => excerpt(JSON.stringify({ url: `https://x/cb?${all}` })),
  detail: (all) => maskText(`cannot reach https://x/cb?${all}`),
  'alarm on a body': (all) => bodyExcerpt(all),
  'alarm on a part': cutAlarm,
};

describe.each(Object.keys(places))('%s', (place) => {
  test.each(parameters)('shows nothing of %s', (all, secret) => {
    const shown = places[place]?.(all, secret);
    expect(shown).toContain('*');
    expect(shown).not.toContain(secret);
  });
});
