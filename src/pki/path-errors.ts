/**
 * Errors of OpenSSL's verification that are about the path it chose and not about the origin's own certificate, by Node's
 * codes for X509_V_ERR_... (`UNSPECIFIED` stands for all that Node has no code for, name constraints and weak hashes among
 * them). Where another path holds, they say nothing: OpenSSL does not go back to try one. Each of these rules is applied by
 * our own search to the path that it finds.
 */
const pathErrors = new Set<string>([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_CHAIN_TOO_LONG',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNSPECIFIED',
]);

/** Whether OpenSSL may have failed merely because of the path that it chose. */
export function isPathError({ code }: NodeJS.ErrnoException): boolean {
  return code !== undefined && pathErrors.has(code);
}

/**
 * Whether OpenSSL found that a name breaks a constraint. It holds constraints on DNS names against common names too, which
 * nobody reads here; our own search holds them against every other name, and against the host that is verified.
 */
export function isNameError({ code, message }: NodeJS.ErrnoException): boolean {
  return code === 'UNSPECIFIED' && /^(?:permitted|excluded) subtree violation$/.test(message);
}
