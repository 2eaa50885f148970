import { Http2Field } from './http2-field.ts';

/** RFC 7541 appendix A. Values follow their name after `=`. */
const written = `:authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|
:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|
accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|
content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|
cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|
last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|
server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`;

/** Entries by index; index 0 is none. */
export const staticTable: readonly Http2Field[] = [
  new Http2Field('', ''),
  ...written
    .replaceAll('\n', '')
    .split('|')
    .map((entry, at) => {
      const [name = '', value = ''] = entry.split('=');
      return new Http2Field(name, value, false, at + 1);
    }),
];

/** Index of the first static entry with a name. */
export const staticNames: ReadonlyMap<string, number> = new Map(
  staticTable.map((field, index) => [field.name, index] as const).reverse(),
);
