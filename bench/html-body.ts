import { gzipSync } from 'node:zlib';
import { bodies } from './site.ts';

/** A page of 1 MB, as a shop with many items might send it, and the same in gzip (a seventh of it). The same in every run. */
export const html = Buffer.from(pageOf(bodies.large));
export const gzippedHtml = gzipSync(html);

function pageOf(bytes: number): string {
  let page = '<!doctype html><html><body>\n';
  for (let row = 0; page.length < bytes; row++) {
    const word = ((row * 2_654_435_761) >>> 0).toString(36);
    page += `<div class="row item-${row % 97}" id="r${row}"><a href="/shop/${(row * 7_919) % 10_007}/view?x=${(row * 31) % 1_009}">Item ${row} ${word}</a>`;
    page += `<p>The quick brown fox ${(row * row) % 65_537} jumps over the lazy dog and sends ${row % 2 === 0 ? 'apples' : 'figs'}.</p></div>\n`;
  }
  return page.slice(0, bytes);
}
