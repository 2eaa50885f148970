import { createRequire } from 'node:module';

type Suffixes = typeof import('tldts');

/** Loaded when the first wildcard is met: the list takes 15 ms and some megabytes. */
let suffixes: Suffixes | undefined;

/**
 * Whether a domain is one under which a registry sells names (`com`, `co.uk`): the ICANN part of the public suffix list,
 * and every single label. No wildcard over one is believed (CA/B baseline requirements section 3.2.2.6).
 */
export function isRegistrySuffix(domain: string): boolean {
  return !domain.includes('.') || suffixOf(domain, false) === domain;
}

/**
 * Whether a domain is one under which its owner lets strangers put up sites (`github.io`): the other part of the list. Its
 * owner serves them under a wildcard, so such a one is believed when the certificate names the domain itself too, which
 * only its owner can have certified; or when it is one of those whose owners are known not to name it.
 */
export function isPlatformSuffix(domain: string): boolean {
  return suffixOf(domain, true) === domain && !isRegistrySuffix(domain) && !platforms.test(domain);
}

/** Whether a name is one that a registry may have sold, or lies below such a one. */
export function isRegistered(name: string): boolean {
  suffixes ??= createRequire(import.meta.url)('tldts') as Suffixes;
  const parsed = suffixes.parse(name, { extractHostname: false });
  return parsed.isIcann === true && parsed.domain !== null;
}

/** Platforms whose certificates name a wildcard over the suffix and not the suffix. */
const platforms =
  /^(?:azurewebsites\.net|azure-api\.net|[a-z]+\.core\.windows\.net|servicebus\.windows\.net|[a-z0-9-]+\.cloudapp\.azure\.com|execute-api\.[a-z0-9-]+\.amazonaws\.com|lambda-url\.[a-z0-9-]+\.on\.aws|(?:a\.)?run\.app|herokuapp\.com)$/;

function suffixOf(domain: string, allowPrivateDomains: boolean): string | null {
  suffixes ??= createRequire(import.meta.url)('tldts') as Suffixes;
  return suffixes.getPublicSuffix(domain, { allowPrivateDomains, extractHostname: false, validateHostname: false });
}
