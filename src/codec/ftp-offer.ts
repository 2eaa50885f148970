import type { FtpReply } from './ftp-reply.ts';

/**
 * What FEAT may offer (RFC 2389). Anything else may frame data or turn the roles of TLS round in a way that nobody here
 * reads: MODE Z, CPSV, SSCN, RANG, and what is not invented yet. CCC ends the protection of the control connection, which
 * is a matter of policy.
 */
const known: ReadonlySet<string> = new Set([
  ...['AUTH', 'PBSZ', 'PROT', 'PASV', 'EPSV', 'EPRT', 'UTF8', 'TVFS', 'SIZE', 'MDTM', 'REST', 'MLST', 'MLSD'],
  ...['MFMT', 'MFCT', 'MFF', 'HOST', 'LANG', 'CLNT', 'CSID', 'AVBL', 'HASH', 'XCRC', 'XMD5', 'XSHA', 'XSHA1'],
  ...['XSHA256', 'XSHA512', 'MD5', 'SITE', 'STAT', 'DSIZ'],
]);

/** The reply to FEAT without what does not pass. */
export function filterFeatures({ raw, lines }: FtpReply, mayClear: boolean): Buffer {
  if (lines.length < 3) return raw;
  const kept: string[] = [];
  for (const [index, line] of raw
    .toString('latin1')
    .split(/(?<=\n)/)
    .entries()) {
    const isEdge = index === 0 || index === lines.length - 1;
    if (isEdge || passes(line.trim(), mayClear)) kept.push(line);
  }
  return Buffer.from(kept.join(''), 'latin1');
}

function passes(feature: string, mayClear: boolean): boolean {
  const [keyword = '', argument = ''] = feature.toUpperCase().split(' ');
  if (keyword === 'CCC') return mayClear;
  return known.has(keyword) && !(keyword === 'AUTH' && /^SSL$|^TLS-P$/.test(argument));
}
