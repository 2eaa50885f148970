/** What a credential looks like: literals to find it by, and an expression that starts where the literal starts. */
export interface CredentialPattern {
  readonly name: string;
  readonly kind: 'private_key' | 'cloud_credential';
  /** ASCII; one of them begins every match. Compared without case, so that an automaton may fold. */
  readonly literals: readonly string[];
  /** Sticky: set `lastIndex` to the start of the literal. A group `secret` is the part to mask, else all of it. */
  readonly regex: RegExp;
  /** The expression looks at no byte further than this behind the start of the literal. */
  readonly reachBytes: number;
  /** Bytes behind a match that the expression may have looked at to be sure of it. */
  readonly lookAheadBytes: number;
}

/** The expressions look at no byte further than this before the literal. */
export const credentialLookBehindBytes = 3;

/** A token starts the text, follows a byte that is no letter or digit, or a JSON or percent escape that ends in one. */
const start = String.raw`(?<=^|[^A-Za-z0-9]|\\[nrtbf]|%[0-9A-Fa-f]{2})`;
const end = '(?![A-Za-z0-9])';
/** Between a name and its value in JSON (escaped or not), YAML, INI, shell, XML and form encoding. */
const assigned = String.raw`[\\"']{0,3}(?:\s{0,8}(?:=>|[:=>]|%3[AaDd])\s{0,8}|\s{1,8})[\\"']{0,3}`;
const base64 = '(?:[A-Za-z0-9/+]|%2[BbFf])';
/** A space as it stands in text, forms and queries. */
const space = '(?:[ +]|%20)';
/** The key id of a signed request (`AKIA.../20260101/...`) is no leak: it travels in every call of the API. */
const unsigned = String.raw`(?!(?:\/|%2[Ff])\d{4})`;

/** The shapes of private keys and of credentials of cloud services. */
export const credentialPatterns: readonly CredentialPattern[] = [
  {
    name: 'pem_private_key',
    kind: 'private_key',
    literals: ['-----BEGIN'],
    regex: new RegExp(
      `-----BEGIN${space}(?:[A-Z0-9]{1,10}${space}){0,3}PRIVATE${space}KEY(?:${space}BLOCK)?-----`,
      'y',
    ),
    reachBytes: 128,
    lookAheadBytes: 0,
  },
  {
    name: 'ssh2_private_key',
    kind: 'private_key',
    literals: ['---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----'],
    regex: /---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----/y,
    reachBytes: 42,
    lookAheadBytes: 0,
  },
  {
    name: 'putty_private_key',
    kind: 'private_key',
    literals: ['PuTTY-User-Key-File-'],
    regex: /PuTTY-User-Key-File-[1-9](?::|%3[Aa])/y,
    reachBytes: 24,
    lookAheadBytes: 0,
  },
  token('aws_access_key_id', ['AKIA', 'ASIA'], `(?:AKIA|ASIA)[A-Z0-9]{16}${end}${unsigned}`, 28),
  named('aws_secret_access_key', ['secret_access_key', 'secretaccesskey'], 'secret_?access_?key', `${base64}{40}`, 168),
  token('alibaba_access_key_id', ['LTAI'], `LTAI[A-Za-z0-9]{12,26}${end}`, 32),
  token('tencent_secret_id', ['AKID'], `AKID[A-Za-z0-9]{32}${end}${unsigned}`, 44),
  named('tencent_secret_key', ['tencentcloud_secret_key'], 'tencentcloud_secret_key', '[A-Za-z0-9]{32}', 96),
  named('google_service_account', ['private_key_id'], 'private_key_id', '[0-9a-f]{40}', 88),
  token('google_client_secret', ['GOCSPX-'], 'GOCSPX-[A-Za-z0-9_-]{28}(?![A-Za-z0-9_-])', 36),
  named('azure_storage_key', ['accountkey'], 'accountkey', `${base64}{86}(?:==|%3[Dd]%3[Dd])`, 312),
  named('azure_shared_access_key', ['sharedaccesskey'], 'sharedaccesskey', `${base64}{43}(?:=|%3[Dd])`, 184),
  token('github_token', ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'], `gh[pousr]_[A-Za-z0-9]{36,251}${end}`, 256),
  token('github_fine_grained_token', ['github_pat_'], `github_pat_[A-Za-z0-9_]{50,250}${end}`, 262),
  token('gitlab_token', ['glpat-'], 'glpat-[A-Za-z0-9_-]{20,64}(?![A-Za-z0-9_-])', 72),
  token('slack_token', ['xoxb-', 'xoxp-', 'xoxa-', 'xoxr-', 'xoxs-', 'xoxe-'], 'xox[bpares]-[A-Za-z0-9-]{10,250}', 256),
  token(
    'slack_webhook',
    ['hooks.slack.com/services/'],
    String.raw`hooks\.slack\.com\/services\/T[A-Z0-9]{6,12}\/B[A-Z0-9]{6,12}\/[A-Za-z0-9]{20,28}${end}`,
    84,
  ),
  token('stripe_key', ['sk_live_', 'rk_live_'], `[sr]k_live_[A-Za-z0-9]{16,247}${end}`, 256),
  token('npm_token', ['npm_'], `npm_[A-Za-z0-9]{36}${end}`, 41),
  token('pypi_token', ['pypi-AgEIcHlwaS5vcmc'], 'pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,230}', 252),
  token('openai_key', ['sk-proj-', 'sk-svcacct-', 'sk-admin-'], 'sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,230}', 244),
  token('anthropic_key', ['sk-ant-'], 'sk-ant-[A-Za-z0-9_-]{20,230}', 240),
  token('hugging_face_token', ['hf_'], `hf_[A-Za-z]{34}${end}`, 38),
  token('sendgrid_key', ['SG.'], String.raw`SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])`, 71),
  token('digitalocean_token', ['dop_v1_', 'doo_v1_', 'dor_v1_'], `do[por]_v1_[a-f0-9]{64}${end}`, 72),
  token('shopify_token', ['shpat_', 'shpca_', 'shppa_', 'shpss_'], `shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}${end}`, 39),
  token('vault_token', ['hvs.', 'hvb.'], String.raw`hv[sb]\.[A-Za-z0-9_-]{90,240}`, 246),
];

/** A credential that is known by its own first bytes. */
function token(name: string, literals: readonly string[], source: string, reachBytes: number): CredentialPattern {
  const lookAheadBytes = source.endsWith(unsigned) ? 7 : 1;
  const regex = new RegExp(start + source, 'y');
  return { name, kind: 'cloud_credential', literals, regex, reachBytes, lookAheadBytes };
}

/** A credential that only the name before it gives away. */
function named(
  name: string,
  literals: readonly string[],
  label: string,
  secret: string,
  reachBytes: number,
): CredentialPattern {
  const regex = new RegExp(`${label}${assigned}(?<secret>${secret})(?![A-Za-z0-9/+])`, 'iy');
  return { name, kind: 'cloud_credential', literals, regex, reachBytes, lookAheadBytes: 1 };
}
