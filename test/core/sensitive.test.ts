import { describe, expect, test } from 'vitest';
import { credentialPatterns } from '../../src/core/credential.ts';
import { findCredentials, maskSensitive } from '../../src/core/sensitive.ts';

/** Put together here, so that no file holds what looks like a credential. */
const upper = 'ABCDEFGHIJKLMNOP';
const mixed = 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3gH6jK9mN2pQ5sT8vW1yZ4bC7dF0gH3jK6mN9pQ2sT5vW8yZ1b';
const hex = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';
const header = (kind: string): string => `-----BEGIN ${kind}-----`;
const samples: Readonly<Record<string, readonly string[]>> = {
  pem_private_key: [
    'PRIVATE KEY',
    'RSA PRIVATE KEY',
    'EC PRIVATE KEY',
    'DSA PRIVATE KEY',
    'OPENSSH PRIVATE KEY',
    'ENCRYPTED PRIVATE KEY',
    'PGP PRIVATE KEY BLOCK',
  ].map(header),
  ssh2_private_key: ['---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----'],
  putty_private_key: ['PuTTY-User-Key-File-2:', 'PuTTY-User-Key-File-3:'],
  aws_access_key_id: [`AKIA${upper}`, `ASIA${upper}`],
  aws_secret_access_key: [
    `aws_secret_access_key = ${mixed.slice(0, 40)}`,
    `"SecretAccessKey": "${mixed.slice(0, 40)}"`,
    `AWS_SECRET_ACCESS_KEY='${mixed.slice(0, 38)}/+'`,
    `<SecretAccessKey>${mixed.slice(0, 40)}</SecretAccessKey>`,
    `aws_secret_access_key%3D${mixed.slice(0, 38)}%2F%2B`,
  ],
  alibaba_access_key_id: [`LTAI${mixed.slice(0, 20)}`],
  tencent_secret_id: [`AKID${mixed.slice(0, 32)}`],
  tencent_secret_key: [`TENCENTCLOUD_SECRET_KEY=${mixed.slice(0, 32)}`],
  google_service_account: [
    `"private_key_id": "${hex.slice(0, 40)}"`,
    `\\"private_key_id\\": \\"${hex.slice(0, 40)}\\"`,
  ],
  google_client_secret: [`GOCSPX-${mixed.slice(0, 28)}`],
  azure_storage_key: [`AccountKey=${(mixed + mixed).slice(0, 86)}==`],
  azure_shared_access_key: [`SharedAccessKey=${mixed.slice(0, 43)}=`],
  github_token: ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix) => prefix + mixed.slice(0, 36)),
  github_fine_grained_token: [`github_pat_${mixed.slice(0, 22)}_${mixed.slice(0, 59)}`],
  gitlab_token: [`glpat-${mixed.slice(0, 20)}`],
  slack_token: [`xoxb-${'1'.repeat(12)}-${mixed.slice(0, 24)}`, `xoxp-${mixed.slice(0, 30)}`],
  slack_webhook: [`hooks.slack.com/services/T${upper.slice(0, 8)}/B${upper.slice(0, 8)}/${mixed.slice(0, 24)}`],
  stripe_key: [`sk_live_${mixed.slice(0, 24)}`, `rk_live_${mixed.slice(0, 24)}`],
  npm_token: [`npm_${mixed.slice(0, 36)}`],
  pypi_token: [`pypi-AgEIcHlwaS5vcmc${mixed.slice(0, 60)}`],
  openai_key: [`sk-proj-${mixed.slice(0, 48)}`],
  anthropic_key: [`sk-ant-api03-${mixed.slice(0, 48)}`],
  hugging_face_token: [`hf_${'abcdefghijklmnopqrstuvwxyzABCDEFGH'}`],
  sendgrid_key: [`SG.${mixed.slice(0, 22)}.${mixed.slice(0, 43)}`],
  digitalocean_token: [`dop_v1_${hex}`],
  shopify_token: [`shpat_${hex.slice(0, 32)}`],
  vault_token: [`hvs.${(mixed + mixed).slice(0, 95)}`],
};

describe('credentials', () => {
  test('every pattern has a sample here', () => {
    expect(Object.keys(samples)).toEqual(credentialPatterns.map(({ name }) => name));
  });

  test.each(Object.entries(samples).flatMap(([name, texts]) => texts.map((text) => [name, text] as const)))(
    '%s is found in %s',
    (name, text) => {
      for (const around of [text, `key: ${text}\n`, `{"a":"${text}"}`, `x\\n${text}\\n`, `a=${text}&b=1`]) {
        expect(namesIn(around)).toContain(name);
      }
    },
  );

  test.each(credentialPatterns.map((pattern) => [pattern.name, pattern] as const))(
    '%s looks no further than it says',
    (name, pattern) => {
      for (const text of samples[name] ?? []) {
        const start = Math.min(
          ...pattern.literals
            .map((literal) => text.toLowerCase().indexOf(literal.toLowerCase()))
            .filter((at) => at >= 0),
        );
        const rest = text.length - start;
        expect(rest).toBeLessThanOrEqual(pattern.reachBytes);
        pattern.regex.lastIndex = start;
        expect(pattern.regex.exec(text.slice(0, start + pattern.reachBytes))).not.toBeNull();
      }
    },
  );

  test.each([
    [`Credential=AKIA${upper}/20260101/us-east-1/s3/aws4_request`, 'the key id of a signed request'],
    [`X-Amz-Credential=AKIA${upper}%2F20260101%2Fus-east-1`, 'the key id of a signed URL'],
    [`xAKIA${upper}`, 'a part of a longer word'],
    [`AKIA${upper}Q`, 'a longer word'],
    [`AKIA${upper.slice(1)}`, 'too short'],
    [header('CERTIFICATE'), 'a certificate'],
    [header('RSA PUBLIC KEY'), 'a public key'],
    ['the secret_access_key is kept elsewhere', 'words'],
    [`npm_${mixed.slice(0, 35)}`, 'too short'],
  ])('%s is none: %s', (text) => {
    expect(namesIn(text)).toEqual([]);
  });
});

const jwt = [
  'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9',
  'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ',
  'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
].join('.');

describe('masking', () => {
  test.each([
    ['card 4111 1111 1111 1111.', 'card 411111******1111.'],
    ['a=4111+1111+1111+1111&b', 'a=411111******1111&b'],
    [`id AKIA${upper}`, 'id AKIA****'],
    [`AccountKey=${(mixed + mixed).slice(0, 86)}==;`, 'AccountKey=aB3d****;'],
    [
      `${header('RSA PRIVATE KEY')}\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\n`,
      `${header('RSA PRIVATE KEY')}****-----END RSA PRIVATE KEY-----\n`,
    ],
    [`${header('PRIVATE KEY')}\\nMIIE cut in the mid`, `${header('PRIVATE KEY')}****`],
    [
      'PuTTY-User-Key-File-3: x\nPrivate-Lines: 1\nAAAA\nPrivate-MAC: 00',
      'PuTTY-User-Key-File-3: x\nPrivate-Lines:****Private-MAC: 00',
    ],
    ['user=joe&password=hunter2&x=1', 'user=joe&password=****&x=1'],
    ['user[password]=hunter2', 'user[password]=****'],
    ['{"password":"a \\"b\\", c","x":1}', '{"password":"****","x":1}'],
    ['{"password": 12345678}', '{"password": ****}'],
    ['{\\"client_secret\\":\\"abc\\",\\"x\\":1}', '{\\"client_secret\\":\\"****\\",\\"x\\":1}'],
    ["{'api_key': 'a b'}", "{'api_key': '****'}"],
    ['<password>abc</password>', '<password>****</password>'],
    ['Authorization: Bearer abc.def.ghi\r\nHost: x', 'Authorization: Bearer ****\r\nHost: x'],
    ['Proxy-Authorization: Basic dXNlcjpwYXNz', 'Proxy-Authorization: Basic ****'],
    [
      '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\na b\r\nc\r\n--b--',
      '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n****\r\n--b--',
    ],
    [
      'form-data; name=api_key\r\nContent-Type: text/plain\r\n\r\nabc',
      'form-data; name=api_key\r\nContent-Type: text/plain\r\n\r\n****',
    ],
    ['{"tokens":["abc","def"],"x":1}', '{"tokens":[****],"x":1}'],
    ['{"secret":{"a":"b"},"x":1}', '{"secret":{****},"x":1}'],
    ['"password":\n        "abc"', '"password":\n        "****"'],
    ['"password" => "abc"', '"password" => "****"'],
    ['<token><![CDATA[a]b]]></token>', '<token><![CDATA[****]]></token>'],
    ['<wsse:Password Type="x#Digest">abc</wsse:Password>', '<wsse:Password Type="x#Digest">****</wsse:Password>'],
    ['?password=a,b;c\\d<e&x=1', '?password=****&x=1'],
    // The example of RFC 7519 section 3.1, and one that is encrypted to a key agreed on before: its second part is empty.
    [`{"id":"${jwt}","x":1}`, '{"id":"eyJ0****","x":1}'],
    [`/callback#${jwt}&x=1`, '/callback#eyJ0****&x=1'],
    ['/x/eyJhbGciOiJkaXIifQ..abcd.ef-_gh.ij/y', '/x/eyJh****/y'],
    [`/maps/AIza${'aB3_-'.repeat(7)}/y`, '/maps/AIza****/y'],
    ['SAMLResponse=PHNhbWw%2B&RelayState=1', 'SAMLResponse=****&RelayState=1'],
    ['eyJ0ZXh0IjoiYmFzZTY0In0', 'eyJ0ZXh0IjoiYmFzZTY0In0'],
    ['a token of esteem', 'a token of esteem'],
    ['<b>a secret recipe</b>', '<b>a secret recipe</b>'],
    ['{"name":"secretary","n":4111}', '{"name":"secretary","n":4111}'],
    ['Ünïcödé 密码 4111111111111111 ١٢٣', 'Ünïcödé 密码 411111******1111 ١٢٣'],
  ])('%j becomes %j', (text, masked) => {
    expect(maskSensitive(text)).toBe(masked);
  });

  test('no sample survives, alone or inside other text', () => {
    for (const [name, texts] of Object.entries(samples)) {
      if (name === 'slack_webhook' || name.endsWith('private_key')) continue;
      for (const text of texts) {
        const tail = /[A-Za-z0-9]{8,}(?=[^A-Za-z0-9]*(?:%2F%2B|<\/.*)?$)/.exec(text)?.[0].slice(-8) ?? '';
        expect(tail).not.toBe('');
        expect(maskSensitive(`x ${text} y`)).not.toContain(tail);
      }
    }
  });

  test('is idempotent', () => {
    for (const text of Object.values(samples).flat()) {
      const once = maskSensitive(`{"k":"${text}"} 4111111111111111 password=a`);
      expect(maskSensitive(once)).toBe(once);
    }
  });

  test('stays linear on floods of every literal', () => {
    const words = [
      ...credentialPatterns.flatMap(({ literals }) => literals),
      'password',
      'password="',
      "pwd='",
      'token: ',
      'secret\\"',
      '411 ',
      'eyJ',
      'eyJ-',
      'eyJaaaaaaaa.',
      'eyJ.',
      'AIza',
      '%34',
      'code=',
      '&code=a1',
      'client_id"code":',
      'name="code"',
      'name="pin"\r\na: b\r\n',
      '<input ',
      '<input value="',
      '<input name="pin" value=a ',
      'pin="',
      '_pin=>',
    ];
    for (const word of words) {
      const small = costOf(word.repeat(Math.ceil(4_096 / word.length)));
      const large = costOf(word.repeat(Math.ceil(65_536 / word.length)));
      // Sixteen times the text; a quadratic cost would be 256 times. The floor takes out the noise of small numbers.
      expect(large / Math.max(small, 2)).toBeLessThan(100);
    }
  });
});

function namesIn(text: string): readonly string[] {
  return (['private_key', 'cloud_credential'] as const)
    .flatMap((kind) => findCredentials(text, kind))
    .map(({ pattern }) => pattern.name);
}

/** Milliseconds of processor time, the best of three. */
function costOf(text: string): number {
  const runs = Array.from({ length: 3 }, () => {
    const before = process.cpuUsage();
    maskSensitive(text);
    return process.cpuUsage(before).user / 1_000;
  });
  return Math.min(...runs);
}
