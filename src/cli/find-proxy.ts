/** The proxy of this server in the environment (proxy.ts); without any variable that names one nothing is loaded for it. */
export async function findProxy(server: string, env = process.env): Promise<URL | undefined> {
  const isSet = env.https_proxy || env.HTTPS_PROXY || env.http_proxy || env.HTTP_PROXY
  return isSet ? (await import('./proxy.ts')).proxyOf(server, env) : undefined
}
