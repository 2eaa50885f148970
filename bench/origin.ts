import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, launch } from './child.ts';
import { gzippedHtml, html } from './html-body.ts';
import { bodies, type Site } from './site.ts';

/** Starts nginx as the origin: an RSA-2048 certificate, TLS 1.3, no resumption, four static bodies. */
export async function startOrigin(site: Site): Promise<Child> {
  const folder = join(site.folder, 'origin');
  mkdirSync(join(folder, 'www'), { recursive: true });
  writeFileSync(join(folder, 'www', 'small'), smallBody());
  writeFileSync(join(folder, 'www', 'large'), randomBytes(bodies.large));
  writeFileSync(join(folder, 'www', 'html'), html);
  writeFileSync(join(folder, 'www', 'gzip'), gzippedHtml);
  const configuration = join(folder, 'nginx.conf');
  writeFileSync(configuration, nginxConfiguration(site, folder));
  return launch({
    command: 'nginx',
    args: ['-c', configuration, '-e', join(folder, 'error.log')],
    log: join(folder, 'nginx.log'),
    ip: site.ip,
    port: site.originPort,
  });
}

/** JSON text, so that whoever inspects text has something to read. */
function smallBody(): string {
  const item = '{"id":1042,"name":"A plain record with nothing to find","tags":["alpha","beta"],"price":12.5},';
  return `[${item.repeat(20)}`.slice(0, bodies.small - 1).padEnd(bodies.small, ']');
}

function nginxConfiguration(site: Site, folder: string): string {
  // X-Origin-Connection tells the load generator whether its request came over a new connection, and in which TLS.
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
${site.isolated && process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 16384; }
http {
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 3600;
  server {
    listen ${site.ip}:${site.originPort} ssl http2 backlog=4096;
    server_name ${site.host};
    ssl_certificate ${site.originCertificate};
    ssl_certificate_key ${site.originKey};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache off;
    ssl_session_tickets off;
    root ${folder}/www;
    add_header Cache-Control no-store;
    add_header X-Origin-Connection "$connection_requests $ssl_protocol $ssl_cipher $ssl_session_reused";
    location = /small { default_type application/json; }
    location = /html { default_type text/html; }
    location = /gzip {
      default_type text/html;
      add_header Content-Encoding gzip;
      add_header Cache-Control no-store;
      add_header X-Origin-Connection "$connection_requests $ssl_protocol $ssl_cipher $ssl_session_reused";
    }
  }
}
`;
}
