import {X509Certificate} from 'node:crypto'
import type {ServerResponse} from 'node:http'
import {createServer} from 'node:https'
import type {AddressInfo} from 'node:net'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {findProxy} from '../../src/cli/find-proxy.ts'
import {Client} from '../../src/client/client.ts'
import {followEvents} from '../../src/client/events.ts'
import {readFingerprint, seeCertificate} from '../../src/client/tls.ts'
import {makeSelfSigned} from '../../src/platform/self-signed.ts'
import {makeCertificates} from '../support/certs.ts'
import {operator} from '../support/gpuctl.ts'
import {httpProxy} from '../support/http-proxy.ts'
import {Screen} from '../support/screen.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {nativeServer, sendEvents} from './native-server.ts'

const me = {
  username: 'ada',
  role: 'user',
  expiresAt: null,
  scopes: ['read'],
  gpusHeld: 0,
  gpuQuota: 1,
  credential: 'token',
}

/** A server with a certificate that only itself signed. It may take another one, as an impostor at its address would. */
async function tlsServer(names = ['localhost', '127.0.0.1', '::1']) {
  const make = () => {
    const made = makeSelfSigned({names, fromMs: Date.now() - 60_000, years: 1})
    return {...made, fingerprint: new X509Certificate(made.cert).fingerprint256}
  }
  const tokens: (string | undefined)[] = []
  const first = make()
  const server = createServer(first, (request, response) => {
    tokens.push(request.headers.authorization)
    response.writeHead(200, {'content-type': 'application/json'})
    response.end(JSON.stringify(request.url?.endsWith('/nodes') ? [] : me))
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    return new Promise<void>(resolve => server.close(() => resolve()))
  })
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const replace = () => {
    const other = make()
    server.setSecureContext(other)
    return other.fingerprint
  }
  return {url, tokens, fingerprint: first.fingerprint, replace}
}

test('T28: without a terminal an unknown certificate fails closed, with its fingerprint and the ways', async () => {
  const {url, tokens, fingerprint} = await tlsServer()
  const {run} = await operator()

  const login = await run(['login', url, '--token-stdin', '--yes'], {input: 'secret\n'})

  expect(login).toMatchObject({code: 7, stdout: ''})
  expect(login.stderr).toContain(`SHA256:${fingerprint}`)
  expect(login.stderr).toContain('--fingerprint')
  expect(tokens).toEqual([])
})

test('T28: a login by fingerprint pins the server; another certificate stops every call with both fingerprints', async () => {
  const {url, tokens, fingerprint, replace} = await tlsServer(['another.example.org'])
  const {run, json} = await operator()
  const wrong = 'ab'.repeat(32)
  const input = 'secret\n'

  const refused = await run(['login', url, '--token-stdin', '--fingerprint', wrong], {input})
  expect(refused).toMatchObject({code: 7, stderr: expect.stringContaining(`SHA256:${fingerprint}`)})
  expect(tokens).toEqual([])
  const words = [
    'login',
    url,
    '--token-stdin',
    '--context',
    'lab',
    '--fingerprint',
    `sha256:${fingerprint.toLowerCase()}`,
  ]
  expect(await run(words, {input})).toMatchObject({code: 0})
  expect(await json(['context', 'get', 'lab'])).toMatchObject({fingerprint})
  expect(await run(['node', 'list'])).toMatchObject({code: 0})
  const before = tokens.length

  const shown = replace()

  const stopped = await run(['node', 'list', '--json'])
  expect(stopped.code).toBe(7)
  const {error} = JSON.parse(stopped.stdout)
  expect(error).toMatchObject({code: 'certificate_changed', hint: expect.stringContaining('gpuctl server status')})
  expect(error.message).toContain(`SHA256:${fingerprint}`)
  expect(error.message).toContain(`SHA256:${shown}`)
  expect(await run(['login', url, '--token-stdin', '--yes'], {input})).toMatchObject({
    code: 7,
    stderr: expect.stringContaining(`SHA256:${shown}`),
  })
  expect(tokens).toHaveLength(before)
  expect(await run(['login', url, '--token-stdin', '--fingerprint', shown], {input})).toMatchObject({code: 0})
  expect(await run(['node', 'list'])).toMatchObject({code: 0})
})

test('T28: another certificate under exec, a terminal, a copy and a forwarded port says the same as under a call', async () => {
  const {url, tokens, fingerprint, replace} = await tlsServer()
  const {run} = await operator()
  const pinned = await seeCertificate(url)
  const input = 'secret\n'
  const pin = ['login', url, '--token-stdin', '--context', 'lab', '--fingerprint', `SHA256:${fingerprint}`]
  expect(await run(pin, {input})).toMatchObject({code: 0})
  const before = tokens.length
  const shown = replace()

  const call = await run(['node', 'list'])
  expect(call.stderr).toContain(`SHA256:${shown}`)
  for (const words of [
    ['instance', 'exec', 'train', '--', 'true'],
    ['instance', 'port-forward', 'train', '0:80'],
    ['instance', 'cp', '-', 'train:/tmp/x'],
  ]) {
    const {code, stdout, stderr} = await run(words, {input})
    expect({words, code, stdout, stderr}).toEqual({words, code: expect.any(Number), stdout: '', stderr: call.stderr})
    expect([7, 255]).toContain(code)
  }
  const client = new Client({userAgent: 'test', target: async () => ({server: url, token: 'secret', pin: pinned})})
  for (const open of [
    () => client.call('nodes.list', {}),
    () => client.terminal('instances.exec', {id: 'train', command: ['true']}),
    () => client.terminal('instances.terminal', {id: 'train'}),
    () => client.terminal('instances.forward', {id: 'train', port: 80}),
    () => client.terminal('ssh.tunnel', {}),
  ]) {
    const error = await open().catch(one => one)
    expect(error).toMatchObject({name: 'UnreachableError', code: 'certificate_changed'})
    expect(error.message).toContain(`at the login  SHA256:${fingerprint}\n  now           SHA256:${shown}`)
  }
  expect(tokens).toHaveLength(before)
})

test('--insecure-skip-tls-verify takes an unknown certificate with a warning, never another one than the pinned', async () => {
  const {url, tokens, fingerprint, replace} = await tlsServer()
  const {run} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret'})
  const insecure = '--insecure-skip-tls-verify'

  expect(await run(['node', 'list'])).toMatchObject({code: 7, stderr: expect.stringContaining('not trusted')})
  expect(tokens).toEqual([])
  expect(await run(['node', 'list', insecure, '--json'])).toEqual({
    code: 0,
    stdout: '[]\n',
    stderr: `Warning: the certificate of ${url} is not checked.\n`,
  })
  expect(tokens).toEqual(['Bearer secret'])
  expect((await run(['node', 'list', insecure, '--curl'])).stdout).toContain('--insecure')

  const ada = await operator()
  const pin = ['login', url, '--token-stdin', '--context', 'lab', '--fingerprint', fingerprint]
  await ada.run(pin, {input: 'secret\n'})
  const before = tokens.length
  const shown = replace()
  expect(await ada.run(['node', 'list', insecure])).toMatchObject({
    code: 7,
    stderr: expect.stringContaining(`SHA256:${shown}`),
  })
  expect(tokens).toHaveLength(before)
})

test('T28: a person is asked, with the fingerprint on the screen', async context => {
  need(context, 'tmux')
  const {url, fingerprint} = await tlsServer()
  const {env, json} = await operator()
  const kept = Object.entries(env).filter(([name]) => name.startsWith('GPUCTL_')) as [string, string][]
  const screen = new Screen({cliEnvironment: Object.fromEntries(kept)}, {columns: 120, rows: 24})
  await screen.shows(/here>/)

  screen.run(`login ${url} --token-stdin --context lab < /dev/null; echo code""=$?`)
  await screen.shows(/code=7/)
  screen.run(`login ${url} --context lab`)
  await screen.shows(new RegExp(`SHA256:${fingerprint.slice(0, 20)}[^]*known by it`))
  screen.press('n', 'Enter')
  await screen.shows(/Nothing was done/)
  expect(await json(['context', 'list'])).toEqual([])
})

test('T28: the server makes its certificate at the first start, keeps it, and shows its fingerprint', async () => {
  const {run, json} = await operator()
  const start = async () => {
    const words = ['server', 'start', '--detach', '--tls', '--listen', '127.0.0.1:0', '--ssh-port', '0']
    return (await run([...words])).stdout
  }
  const said = await start()
  const status = await json<{fingerprint: string; urls: string[]}>(['server', 'status'])
  expect(said).toContain(`SHA256:${status.fingerprint}`)
  const password = /admin \/ (\S+)/.exec(said)?.[1]
  const url = status.urls[0] as string
  expect(url).toMatch(/^https:/)
  const words = ['login', url, '-u', 'admin', '--password-stdin', '--fingerprint', status.fingerprint]
  expect(await run(words, {input: password})).toMatchObject({code: 0})
  expect(await json(['whoami'])).toMatchObject({username: 'admin', server: url})
  await run(['server', 'stop'])
  await start()
  expect(await json(['server', 'status'])).toMatchObject({fingerprint: status.fingerprint})
})

test('a fingerprint is read as people copy it', () => {
  const one = Array.from({length: 32}, () => 'AB').join(':')
  for (const text of [one, one.toLowerCase(), `SHA256:${one}`, one.replaceAll(':', ''), `sha256=${one}`])
    expect(readFingerprint(text)).toBe(one)
  for (const text of ['', 'AB', `${one}:AB`, 'x'.repeat(64)]) expect(readFingerprint(text)).toBeUndefined()
})

test('T28: a certificate that an authority vouches for is trusted by it, and pinned only on demand', async context => {
  need(context, 'openssl')
  const folder = await temporaryDirectory()
  const {ca, server: made} = await makeCertificates(folder)
  const server = createServer(made, (_, response) => response.end(JSON.stringify(me)))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise<void>(resolve => server.close(() => resolve())))
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const {run, json} = await operator({NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem')})

  expect(ca).toContain('BEGIN CERTIFICATE')
  expect(await run(['login', url, '--token-stdin', '--context', 'a'], {input: 'x'})).toMatchObject({code: 0})
  expect(await json(['context', 'get', 'a'])).toMatchObject({fingerprint: null})
  const {fingerprint256} = new X509Certificate(made.cert)
  const words = ['login', url, '--token-stdin', '--context', 'a', '--fingerprint', fingerprint256]
  expect(await run(words, {input: 'x'})).toMatchObject({code: 0})
  expect(await json(['context', 'get', 'a'])).toMatchObject({fingerprint: fingerprint256})
  expect(await run(['whoami', '--ca-cert', join(folder, 'ca.pem')])).toMatchObject({code: 0})
})

/** The same server by a name that only the proxy knows. */
const named = (url: string) => url.replace('127.0.0.1', 'gpus.example.org')
const withLogin = (url: string, login: string) => url.replace('//', `//${login}@`)

test('T28: calls reach an https server through HTTPS_PROXY, and its pin holds there', async () => {
  const {url, tokens, fingerprint, replace} = await tlsServer()
  const proxy = await httpProxy({login: 'ada:p@ss'})
  const {run} = await operator({HTTPS_PROXY: withLogin(proxy.url, 'ada:p%40ss')})
  const login = ['login', named(url), '--token-stdin', '--fingerprint', fingerprint]

  expect(await run(login, {input: 'secret\n'})).toMatchObject({code: 0})
  expect(await run(['node', 'list', '--json'])).toMatchObject({code: 0, stdout: '[]\n'})
  expect(new Set(proxy.seen)).toEqual(new Set([`CONNECT ${new URL(named(url)).host}`]))
  const before = tokens.length

  const shown = replace()

  const stopped = await run(['node', 'list', '--debug'])
  expect(stopped.code).toBe(7)
  expect(stopped.stderr).toContain(`SHA256:${shown}`)
  expect(stopped.stderr).not.toMatch(/p@ss|p%40ss|YWRh/)
  expect(tokens).toHaveLength(before)
})

test('a proxy that refuses, is not there, or is no address is named, and its password is not', async () => {
  const silent = 'p4ssw0rd'
  const strict = await httpProxy({login: 'ada:right'})
  const broken = await httpProxy({refuses: '502 Bad Gateway'})
  const reasons = [
    [strict.url, `the proxy ${strict.url} refused: 407 Login Required`, 7],
    [broken.url, `the proxy ${broken.url} refused: 502 Bad Gateway`, 7],
    ['http://127.0.0.1:1', 'the proxy http://127.0.0.1:1 cannot be reached: nothing listens there', 7],
    ['socks5://127.0.0.1:1080', 'holds no address of a proxy that can be used', 2],
  ] as const
  for (const [url, reason, code] of reasons) {
    const proxy = withLogin(url, `ada:${silent}`)
    const {run} = await operator({GPUCTL_TOKEN: 'secret', http_proxy: proxy, https_proxy: proxy})
    const servers = ['https://gpus.example.org:8888', 'http://gpus.example.org:8888']
    for (const failed of await Promise.all(
      servers.map(server => run(['node', 'list', '--debug', '--server', server])),
    )) {
      expect(failed).toMatchObject({code, stdout: '', stderr: expect.stringContaining(reason)})
      expect(failed.stderr).not.toContain(silent)
    }
  }
  expect(strict.seen).toContain('GET http://gpus.example.org:8888/gpuctl/v1/nodes')
})

test('http calls, events and terminals go through HTTP_PROXY; what is of this machine or in NO_PROXY does not', async () => {
  const {url, asked} = await nativeServer({
    'GET /nodes': [],
    'GET /events/follow': (_: unknown, response: ServerResponse) =>
      sendEvents(response, [
        {id: '1', data: {n: 1}},
        {event: 'end', data: {}},
      ]),
  })
  const proxy = await httpProxy()
  const env = {HTTP_PROXY: proxy.url}
  const server = named(url)
  const found = await findProxy(server, env)
  const client = new Client({userAgent: 'test', target: async () => ({server, token: 'secret', proxy: found})})

  expect(await client.call('nodes.list', {})).toEqual([])
  const events = []
  for await (const {data} of followEvents({client, path: '/gpuctl/v1/events/follow'})) events.push(data)
  expect(events).toContainEqual({n: 1})
  await expect(client.terminal('instances.terminal', {id: 'train'})).rejects.toThrow()
  const {host} = new URL(server)
  expect(proxy.seen.slice(0, 2)).toEqual([`GET ${server}/gpuctl/v1/nodes`, `GET ${server}/gpuctl/v1/events/follow`])
  expect(proxy.seen.at(-1)).toBe(`CONNECT ${host}`)
  expect(asked[0]?.headers).toMatchObject({host, authorization: 'Bearer secret'})

  const leadsTo = (address: string, no_proxy = '') => findProxy(address, {...env, no_proxy})
  for (const here of ['http://localhost:8888', 'http://127.3.2.1', 'http://[::1]:8888', 'https://gpus.example.org']) {
    expect(await leadsTo(here)).toBeUndefined()
  }
  for (const [address, exceptions] of [
    ['http://gpus.example.org:8888', 'a, example.org'],
    ['http://gpus.example.org:8888', '.example.org:8888'],
    ['http://gpus.example.org', '*'],
    ['http://10.1.2.3:8888', '192.168.0.0/16 10.0.0.0/8'],
    ['http://[fd00::1]', '[fd00::1]'],
  ] as const) {
    expect({address, proxy: await leadsTo(address, exceptions)}).toEqual({address, proxy: undefined})
  }
  for (const [address, exceptions] of [
    ['http://gpus.example.org:8888', 'ample.org,gpus,gpus.example.org:80'],
    ['http://11.1.2.3', '10.0.0.0/8,1.2.3'],
  ] as const) {
    expect((await leadsTo(address, exceptions))?.host).toBe(new URL(proxy.url).host)
  }
})
