import type { ListenAddress } from '../core/policy.ts';
import type { TrustFiles } from './exec-trust.ts';
import { trustStorePassword } from './java-trust-store.ts';

/**
 * The environment of a command whose traffic shall pass the gateway: proxy and trust variables of the programs that
 * people run, on top of the environment that was given. Some programs read the lower-case name alone, some the other.
 */
export function execEnvironment(given: NodeJS.ProcessEnv, proxy: ListenAddress, trust: TrustFiles): NodeJS.ProcessEnv {
  const host = proxy.ip.includes(':') ? `[${proxy.ip}]` : proxy.ip;
  const url = `http://${host}:${proxy.port}`;
  return {
    ...given,
    ...proxyVariables(url),
    ...trustVariables(trust),
    JAVA_TOOL_OPTIONS: javaOptions(given, proxy, trust),
  };
}

function proxyVariables(url: string): Record<string, string> {
  return {
    HTTP_PROXY: url,
    http_proxy: url,
    HTTPS_PROXY: url,
    https_proxy: url,
    ALL_PROXY: url,
    all_proxy: url,
    // Nothing is exempt, not even this machine.
    NO_PROXY: '',
    no_proxy: '',
    // Node's own fetch and http modules (from Node 24 on); undici and others read HTTPS_PROXY by themselves.
    NODE_USE_ENV_PROXY: '1',
  };
}

function trustVariables({ bundle, extra, wgetrc }: TrustFiles): Record<string, string> {
  return {
    // OpenSSL and all that is linked to it: curl, Python, Ruby, PHP, Perl, .NET, Rust; and Go.
    SSL_CERT_FILE: bundle,
    CURL_CA_BUNDLE: bundle,
    REQUESTS_CA_BUNDLE: bundle,
    PIP_CERT: bundle,
    HTTPLIB2_CA_CERTS: bundle,
    AWS_CA_BUNDLE: bundle,
    CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: bundle,
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: bundle,
    GIT_SSL_CAINFO: bundle,
    CARGO_HTTP_CAINFO: bundle,
    NIX_SSL_CERT_FILE: bundle,
    PERL_LWP_SSL_CA_FILE: bundle,
    npm_config_cafile: bundle,
    DENO_CERT: extra,
    NODE_EXTRA_CA_CERTS: extra,
    WGETRC: wgetrc,
  };
}

/** Java reads no proxy variables; every one reads this, and says so in one line on standard error. */
function javaOptions(given: NodeJS.ProcessEnv, proxy: ListenAddress, trust: TrustFiles): string {
  const properties = {
    'http.proxyHost': proxy.ip,
    'http.proxyPort': proxy.port,
    'https.proxyHost': proxy.ip,
    'https.proxyPort': proxy.port,
    'http.nonProxyHosts': '',
    'javax.net.ssl.trustStore': trust.java,
    'javax.net.ssl.trustStoreType': 'JKS',
    'javax.net.ssl.trustStorePassword': trustStorePassword,
  };
  const options = Object.entries(properties).map(([name, value]) => quoted(`-D${name}=${value}`));
  return [given.JAVA_TOOL_OPTIONS, ...options].filter(Boolean).join(' ');
}

/** The JVM splits at blanks, except within quotes. */
function quoted(option: string): string {
  return /\s/.test(option) ? `"${option}"` : option;
}
