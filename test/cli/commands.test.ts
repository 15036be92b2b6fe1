import {exec} from 'node:child_process'
import {stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {expect, test} from 'vitest'
import {operator, program} from '../support/gpuctl.ts'
import {nativeServer, Refusal, sendEvents} from './native-server.ts'

const node = {
  ...{
    id: 'n-1',
    number: 1,
    createdAt: new Date().toISOString(),
    name: 'gpu\x1b[31m-1',
    hostname: 'gpu-1',
    status: 'online',
  },
  ...{admission: 'active', schedulable: true, code: null, gpus: [{model: 'RTX4090', simulated: true}], gpusFree: 1},
  ...{
    runtime: 'docker',
    runtimeState: 'ok',
    lastSeenAt: null,
    address: '10.0.0.1',
    claimedAddress: '',
    fingerprint: 'SHA256:x',
  },
}
const pending = {...node, id: 'n-2', name: 'new', status: 'pending', code: 'XK7M2'}
const me = {
  id: 'u',
  username: 'ada',
  role: 'user',
  gpuQuota: 1,
  gpusHeld: 0,
  credential: 'token',
  scopes: ['read'],
  expiresAt: null,
}

async function person(answers: Record<string, unknown>, env: NodeJS.ProcessEnv = {}) {
  const server = await nativeServer(answers)
  return {...(await operator({GPUCTL_SERVER: server.url, GPUCTL_TOKEN: 'secret', ...env})), ...server}
}

test('a list: JSON is an array, waiting ones first, simulated cards say so; a pipe gets tabs without escapes', async () => {
  const {run} = await person({'GET /nodes': [node, pending]})

  const json = await run(['nodes', 'ls', '-o', 'json'])
  expect(JSON.parse(json.stdout).map(({id}: {id: string}) => id)).toEqual(['n-2', 'n-1'])
  expect((await run(['node', 'list'])).stdout.split('\n')[1]).toBe(
    'gpu-1\tonline\t\t1 × RTX4090 (simulated)\t1\tdocker\t',
  )
  expect((await run(['node', 'list', '-q'])).stdout).toBe('n-2\nn-1\n')
  expect((await run(['node', 'list', '-o', 'table'])).stdout).toMatch(/^NAME +STATUS +CODE/)
})

test('`node approve CODE` asks nothing and says whom it admitted; by name it needs consent', async () => {
  const {run, asked} = await person({'POST /nodes/approve': pending})

  const approved = await run(['nodes', 'approve', 'xk7-m2'])
  expect(approved).toMatchObject({code: 0, stdout: expect.stringContaining('Approved new from 10.0.0.1')})
  expect(approved.stdout).toContain('SHA256:x')
  expect(asked[0]?.body).toEqual({node: 'xk7-m2'})
  expect(await run(['node', 'approve', 'some-name'])).toMatchObject({code: 2, stderr: expect.stringContaining('--yes')})
  expect(asked).toHaveLength(1)
  await run(['approve', 'XK7M2', '--quota', '2TB', '--label', 'zone=a'])
  expect(asked[1]?.body).toEqual({node: 'XK7M2', storageQuotaGb: 2048, labels: {zone: 'a'}})
  expect(await run(['approve', '--all', '--quota', '1.5GB'])).toMatchObject({
    ...{code: 2, stderr: expect.stringContaining('--quota: 1.5GB is not a whole number of GB')},
  })
  expect(asked).toHaveLength(2)
})

test('`node reject --block-ip` says for how long, and refuses what is no such time', async () => {
  const {run, asked} = await person({'POST /nodes/reject': {done: true}})

  expect(await run(['node', 'reject', 'XK7M2', '--block-ip', '1h', '--reason', 'not ours'])).toMatchObject({
    ...{code: 0, stdout: 'XK7M2 is refused.\n'},
  })
  expect(asked[0]?.body).toEqual({node: 'XK7M2', reason: 'not ours', blockAddressSeconds: 3_600})
  for (const time of ['500d', '0', 'soon']) {
    expect(await run(['node', 'reject', 'XK7M2', '--block-ip', time])).toMatchObject({
      ...{code: 2, stderr: expect.stringContaining('--block-ip')},
    })
  }
  expect(asked).toHaveLength(1)
})

test('`node approve --all` shows who waits, needs consent, and admits just those', async () => {
  const other = {...pending, id: 'n-3', name: 'newer'}
  const {run, json, asked} = await person({'GET /nodes': [pending, other], 'POST /nodes/approve': pending})

  const refused = await run(['node', 'approve', '--all'])
  expect(refused).toMatchObject({code: 2, stdout: '', stderr: expect.stringContaining('newer waits at 10.0.0.1')})
  expect(asked.map(({method}) => method)).toEqual(['GET'])
  expect(await json<object[]>(['node', 'approve', '--all', '--yes'])).toHaveLength(2)
  expect(asked.slice(-2).map(({body}) => body)).toEqual([{node: 'n-2'}, {node: 'n-3'}])
  expect(await run(['node', 'approve', 'XK7M2', '--all'])).toMatchObject({code: 2})

  const empty = await person({'GET /nodes': []})
  expect(await empty.run(['node', 'approve', '--all'])).toMatchObject({code: 0, stdout: 'No machine is waiting.\n'})
})

test('sessions are picked by user and instance; to end many is asked, and names them', async () => {
  const open = (number: number, user: string, instance: string) => ({
    ...{id: `s-${number}`, number, kind: 'exec', user, userId: 'u', instance, instanceId: `i-${instance}`},
    ...{address: '10.0.0.1', startedAt: new Date().toISOString(), bytesIn: 0, bytesOut: 0},
  })
  const {run, json, asked} = await person({
    'GET /sessions': [open(1, 'ada', 'train'), open(2, 'bob', 'train'), open(3, 'bob', 'play')],
    'DELETE /sessions/s-2': {done: true},
  })

  expect(await json(['session', 'list', '--instance', 'i-train', '--user', 'bob'])).toMatchObject([{number: 2}])
  expect(await json(['session', 'list', '--instance', 'play'])).toMatchObject([{number: 3}])
  expect(asked.map(({path}) => path)).toEqual(['/sessions?all=true', '/sessions?all=false'])
  const kill = ['session', 'kill', '--user', 'bob', '--instance', 'train']
  expect(await run(kill)).toMatchObject({code: 2, stderr: expect.stringContaining('End 2 (exec of bob in train)?')})
  expect(await run([...kill, '--yes'])).toMatchObject({code: 0, stdout: 'Session s-2 is ended.\n'})
  expect(await run([...kill, '3'])).toMatchObject({code: 2})
  expect(await run(['session', 'kill'])).toMatchObject({code: 2})
})

test('a full disk under stdout is told in one line, with 1', async () => {
  const {env} = await person({'GET /nodes': [node]})
  const lines = ['node list', 'node list --json', 'commands', 'help exit-codes', 'completion bash', '--help']
  const runs = lines.map(line =>
    promisify(exec)(`'${process.execPath}' '${program}' ${line} > /dev/full`, {env}).catch(error => error),
  )

  for (const {code, stderr} of await Promise.all(runs)) {
    expect({code, stderr}).toEqual({
      ...{code: 1, stderr: 'Error: The output cannot be written: no space is left on the device. (E_OUTPUT_FAILED)\n'},
    })
  }
})

test('a refusal is two lines on stderr, or one envelope on stdout, and its own exit code', async () => {
  const {run} = await person({
    'POST /nodes/approve': new Refusal(404, 'code_unknown', 'No node is waiting with code XK7M2.', 'List them.'),
  })

  expect(await run(['node', 'approve', 'XK7M2'])).toEqual({
    code: 3,
    stdout: '',
    stderr: 'Error: No node is waiting with code XK7M2. (E_CODE_UNKNOWN)\nWhy: a = 1\nTry: List them.\n',
  })
  const {code, stdout, stderr} = await run(['--json', 'node', 'approve', 'XK7M2'])
  expect({code, stderr, error: JSON.parse(stdout).error}).toMatchObject({
    ...{code: 3, stderr: ''},
    error: {
      code: 'code_unknown',
      message: 'No node is waiting with code XK7M2.',
      hint: 'List them.',
      details: {a: 1},
      requestId: 'req-1',
    },
  })
})

test.each([
  [['node', 'list', '--nope'], 2],
  [['node', 'list', '-o', 'xml'], 2],
  [['node', 'get'], 2],
  [['nodez', 'list'], 2],
  [['claim', 'submit'], 2],
  [['claim', 'submit', '--image', 'x', 'stray'], 2],
  [['login', '--password', 'x'], 2],
  [['node', 'list', '--server', 'http://127.0.0.1:1'], 7],
])('gpuctl %j ends with %i; as JSON the envelope is all of stdout', async (args, expected) => {
  const {run} = await person({})
  expect((await run(args)).code).toBe(expected)
  const asJson = await run([...args, '--json'])
  expect(asJson.code).toBe(expected)
  if (!args.includes('xml')) expect(Object.keys(JSON.parse(asJson.stdout))).toEqual(['error'])
})

test('`logs -f` prints both streams apart and ends with the workload’s code', async () => {
  const {run} = await person({
    'GET /instances/x/logs/events': (_: unknown, response: import('node:http').ServerResponse) =>
      sendEvents(response, [
        {id: '1', event: 'log', data: {stream: 'stdout', text: 'out\n'}},
        {id: '2', event: 'log', data: {stream: 'stderr', text: 'err\n'}},
        {event: 'end', data: {status: 'failed', exitCode: 7, reason: ''}},
      ]),
  })
  expect(await run(['logs', '-f', 'x'])).toEqual({code: 7, stdout: 'out\n', stderr: 'err\n'})
})

test('a claim carries what the flags say', async () => {
  const claim = {id: 'c', name: 'train', spec: {}, status: {phase: 'Pending'}}
  const {run, asked} = await person({'POST /claims': claim})
  const flags =
    '--image x --gpus 2 --gpu-model 4090 --vram 24GiB --memory 8G --cpus 0.5 -e A=1 -e B=x=y --label k=v'.split(' ')

  await run(['claim', 'submit', ...flags, '--max-time', '2h', '--restart', 'always', '--', 'sh', '-c', 'a b'])

  expect(asked[0]?.body).toEqual({
    ...{image: 'x', gpus: {count: 2, model: '4090', minMemoryMiB: 24576}, memoryMiB: 8192, cpus: 0.5},
    ...{
      env: {A: '1', B: 'x=y'},
      labels: {k: 'v'},
      maxTimeSeconds: 7200,
      restart: 'always',
      command: ['sh', '-c', 'a b'],
    },
  })
})

test('T30: without a keyring a login lies in a file of its owner, and says so (M25)', async () => {
  const {run, home, url, asked} = await person(
    {'GET /auth/whoami': me},
    {
      ...{GPUCTL_TOKEN: '', GPUCTL_SERVER: '', GPUCTL_KEYRING: '', DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere'},
    },
  )

  const login = await run(['login', url, '--token-stdin', '--context', 'ci'], {input: 'abc\n'})

  expect(login).toMatchObject({code: 0, stderr: expect.stringContaining('No keyring here')})
  expect((await stat(join(home, 'config', 'credentials.json'))).mode & 0o777).toBe(0o600)
  const whoami = JSON.parse((await run(['whoami', '-o', 'json'])).stdout)
  expect(whoami).toMatchObject({username: 'ada', context: 'ci', tokenFrom: 'file'})
  expect(asked.at(-1)?.headers.authorization).toBe('Bearer abc')
  expect(await run(['login', url])).toMatchObject({code: 2, stderr: expect.stringContaining('--token-stdin')})
})

test('a token of the environment does not go to a server that only a checkout names', async () => {
  const {run, home, url, asked} = await person({'GET /nodes': []}, {GPUCTL_SERVER: ''})
  await writeFile(join(home, '.gpuctl.yml'), `server: ${url}\n`)

  const refused = await run(['node', 'list'], {cwd: home})
  expect(refused).toMatchObject({code: 2, stderr: expect.stringContaining('GPUCTL_TOKEN is not sent')})
  expect(asked).toEqual([])
  expect(await run(['node', 'list', '--server', url], {cwd: home})).toMatchObject({code: 0})
})

test('what is missing or cannot be read is named in one line, whatever command and type it is', async () => {
  const {run, asked} = await person({})
  const said = async (...words: string[]) => {
    const {code, stderr} = await run(words)
    return `${code} ${stderr.split('\n')[0]}`
  }

  expect(await said('node', 'get')).toBe('2 Error: NODE (id or name) is missing. (E_USAGE)')
  expect(await said('api')).toMatch(
    /^2 Error: METHOD \(.*\) and PATH \(path on the server\) are missing\. \(E_USAGE\)$/,
  )
  expect(await said('wait', 'claim/a')).toBe('2 Error: --for is missing. (E_USAGE)')
  expect(await said('claim', 'submit', '--gpus', 'x')).toBe(
    '2 Error: --gpus: Expected an integer but received: x (E_USAGE)',
  )
  expect(await said('claim', 'submit', '--image', 'a', '-e', '1=2')).toBe(
    '2 Error: --env: 1 is no name of a variable. (E_USAGE)',
  )
  expect(asked).toEqual([])
})

test('an instance takes its name as argument, a token by argument or flag', async () => {
  const made = {
    id: 'i-1',
    name: 'dev',
    status: 'creating',
    claimId: 'c-1',
    secret: 's',
    scopes: ['read'],
    expiresAt: null,
  }
  const {run, asked} = await person({'POST /instances': made, 'POST /tokens': made})

  await run(['instance', 'create', 'dev', '--image', 'cuda', '--spec', 'small', '--', 'sleep', '9'])
  await run(['instance', 'create', '--image', 'cuda', '--spec', 'small', '--name', 'dev', '--', 'sleep', '9'])
  await run(['token', 'create', 'ci'])
  await run(['token', 'create', '--name', 'ci'])

  expect(asked[0]?.body).toEqual({name: 'dev', image: 'cuda', spec: 'small', command: ['sleep', '9']})
  expect(asked[1]?.body).toEqual(asked[0]?.body)
  expect(asked[2]?.body).toEqual({name: 'ci'})
  expect(asked[3]?.body).toEqual(asked[2]?.body)
  expect(await run(['instance', 'create', 'a', 'b', '--image', 'cuda', '--spec', 'small'])).toMatchObject({code: 2})
})

test('`api GET /nowhere` says how the native API is reached; `logout` of nobody says so', async () => {
  const {run} = await person({'GET /nodes': [node]})
  const other = await nativeServer({})

  expect(await run(['api', 'GET', 'nodes'])).toMatchObject({code: 0})
  expect(await run(['api', 'GET', '/nowhere'])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('Without the slash'),
  })
  const nobody = await operator({GPUCTL_SERVER: other.url})
  expect(await nobody.run(['logout'])).toMatchObject({code: 0, stdout: expect.stringContaining('Nobody is logged in')})
  expect(other.asked).toEqual([])
})

test('`runtime approve NAME` needs consent, and says what may be asked now; the list shows who waits', async () => {
  const runtime = {
    ...{id: 'r-1', number: 1, name: 'server-01', machineName: 'server-01', status: 'online', node: '', tags: []},
    ...{address: '10.0.0.7', port: 32768, apiPort: 32769, models: ['gpt-oss-20b'], gpuCount: 2, gpuModel: 'RTX 4090'},
    ...{runtimeVersion: '0.1.0', lastSeenAt: new Date().toISOString(), requests: {active: 3}},
  }
  const {run, asked} = await person({
    'GET /runtimes': [{...runtime, status: 'pending'}],
    'POST /runtimes/server-01/approve': runtime,
  })

  expect((await run(['runtimes', 'ls'])).stdout).toContain('server-01\tpending\t\tgpt-oss-20b\t2 × RTX 4090\t3\t')
  expect(await run(['runtime', 'approve', 'server-01'])).toMatchObject({code: 2})
  expect(asked.some(({method}) => method === 'POST')).toBe(false)
  expect(await run(['runtime', 'approve', 'server-01', '--yes'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Approved server-01 at 10.0.0.7, port 32769: online, gpt-oss-20b.'),
  })
})
