/**
 * Who says to be whom in AUTH: identities only, never a secret. Reads what the client sends, step by step; mechanisms that
 * hide the identity (GSSAPI, NTLM) give none.
 */
export function authIdentity(mechanism: string, step: number, line: string): string | undefined {
  const text = Buffer.from(line, 'base64').toString('utf8');
  switch (mechanism) {
    case 'PLAIN':
      // [authzid] NUL authcid NUL passwd (RFC 4616 section 2)
      return nonEmpty(text.split('\0')[1]);
    case 'LOGIN':
      return step === 0 ? nonEmpty(text) : undefined;
    case 'CRAM-MD5':
      // user, a space and the digest (RFC 2195 section 2)
      return nonEmpty(/^(.*) [0-9a-f]{32}$/s.exec(text)?.[1]);
    case 'XOAUTH2':
      return nonEmpty(/^user=(.*)$/.exec(text.split('\u0001')[0] ?? '')?.[1]);
    case 'OAUTHBEARER':
      return nonEmpty(saslName(/^n,a=([^,]*),/.exec(text)?.[1]));
    case 'DIGEST-MD5':
      return nonEmpty(/(?:^|,)username="((?:[^"\\]|\\.)*)"/.exec(text)?.[1]);
    default:
      // n= in the first message of SCRAM (RFC 5802 section 7)
      if (!mechanism.startsWith('SCRAM-') || step > 0) return undefined;
      return nonEmpty(saslName(/^[nyp][^,]*,[^,]*,n=([^,]*),/.exec(text)?.[1]));
  }
}

/** A name in which a comma and an equals sign are written otherwise (RFC 5801 section 4, RFC 5802 section 5.1). */
function saslName(text: string | undefined): string | undefined {
  return text?.replaceAll('=2C', ',').replaceAll('=3D', '=');
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}
