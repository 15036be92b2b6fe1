import {spawn} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {writeFile} from 'node:fs/promises'
import type {ServerResponse} from 'node:http'
import {join} from 'node:path'
import {beforeAll, describe, expect, test} from 'vitest'
import {operator, program} from '../support/gpuctl.ts'
import {eventually} from '../support/wait.ts'
import {nativeServer, Refusal} from './native-server.ts'

const node = (id: string, name: string, more: object = {}) => ({
  ...{id, number: Number(id), name, hostname: name, status: 'online', admission: 'active', schedulable: true},
  ...{code: null, gpus: [], gpusFree: 0, runtime: 'docker', runtimeState: 'ok', lastSeenAt: '2026-01-02T03:04:05Z'},
  ...{address: '10.0.0.1', cpus: 8, memoryMiB: 32_768, kind: 'agent', listing: {region: 'lab'}, listed: false},
  ...{labels: {}, createdAt: '2026-01-01T00:00:00Z', ...more},
})
const nodes = [
  node('1', 'gpu-10', {gpusFree: 8, memoryMiB: 24_564, labels: {zone: 'a'}}),
  node('2', 'gpu-2', {status: 'offline', labels: {zone: 'b'}}),
  node('3', 'gpu|3', {gpusFree: 2}),
]

async function person(answers: Record<string, unknown>, env: NodeJS.ProcessEnv = {}) {
  const server = await nativeServer(answers)
  return {...(await operator({GPUCTL_SERVER: server.url, GPUCTL_TOKEN: 'secret', ...env})), ...server}
}

describe('lists', () => {
  test('rows are picked, sorted and counted off; columns are chosen; markdown and csv have their forms', async () => {
    const {run, ok} = await person({'GET /nodes': nodes})
    const lines = async (...args: string[]) => (await ok(['node', 'list', ...args])).stdout

    expect(await lines('--sort', 'name', '-o', 'name')).toBe('gpu-2\ngpu-10\ngpu|3\n')
    expect(await lines('--where', 'memory>=24GB && status=online', '--columns', 'name,memory')).toBe(
      'gpu-10\t24564\ngpu|3\t32768\n',
    )
    expect(await lines('-l', 'zone=a', '-q')).toBe('1\n')
    expect(await lines('--sort=-free', '--limit', '1', '-o', 'md', '--columns', 'name,free')).toBe(
      '| name | free |\n| --- | --- |\n| gpu-10 | 8 |\n',
    )
    expect(await lines('-o', 'csv', '--no-header', '--columns', 'name', '--where', '!free')).toBe('gpu-2\r\n')
    expect(await lines('-o', 'md', '--columns', 'name', '--where', 'name~3')).toContain('| gpu\\|3 |')
    expect(JSON.parse(await lines('--json=name', '--where', 'free>1')).map(({name}: {name: string}) => name)).toEqual([
      'gpu-10',
      'gpu|3',
    ])
    expect(await run(['node', 'list', '--columns', 'nme'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no column nme.*\nTry: There are name, status, code/),
    })
    for (const condition of [['--where'], ['--where', 'free>']]) {
      expect(await run(['node', 'list', ...condition])).toMatchObject({
        ...{code: 2, stderr: expect.stringContaining('(E_USAGE)')},
      })
    }
    expect(await run(['node', 'list', '--where', 'colour=red'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Columns: name, status'),
    })
  })

  test('jq programs run over the JSON, also by -o jq=; a broken one is a usage error', async () => {
    const {run, ok} = await person({'GET /nodes': nodes})

    expect((await ok(['node', 'list', '--jq', '.[] | select(.gpusFree > 0) | .name'])).stdout).toBe('gpu-10\ngpu|3\n')
    expect((await ok(['node', 'list', '-o', 'jq=map(.number)'])).stdout).toBe('[1,2,3]\n')
    expect(await run(['node', 'list', '--jq', '.['])).toMatchObject({code: 2, stdout: expect.stringContaining('--jq')})
  })
})

test('Ctrl-C while a task is waited for says how to wait again and how to end it', async () => {
  let asked = 0
  const {env} = await person({
    'GET /tasks/7': (_: unknown, response: ServerResponse) => {
      asked++
      const task = {id: 'x', number: 7, type: 'backup.create', status: 'running', message: 'Writing', progress: 4}
      response.setHeader('content-type', 'application/json').end(JSON.stringify(task))
    },
  })
  const child = spawn(process.execPath, [program, 'task', 'wait', '7'], {env, stdio: 'pipe'})
  const ended = new Promise(resolve => child.once('close', resolve))
  let said = ''
  child.stderr.setEncoding('utf8').on('data', piece => {
    said += piece
  })

  await eventually(() => asked > 1, {withinMs: 20_000, what: 'a second look'})
  child.kill('SIGINT')

  expect(await ended).toBe(130)
  expect(said).toContain('Wait again with `gpuctl task wait 7`, or end it with `gpuctl task cancel 7`.')
})

test('-w in a pipe adds what is new or has changed, and ends with 130 at Ctrl-C', async () => {
  let asked = 0
  const {env} = await person({
    'GET /nodes': (_: unknown, response: ServerResponse) => {
      const news = asked++ === 0 ? [nodes[1]] : [nodes[1], nodes[0]]
      response.setHeader('content-type', 'application/json').end(JSON.stringify(news))
    },
  })
  const child = spawn(process.execPath, [program, 'node', 'list', '-w', '-o', 'ndjson'], {env, stdio: 'pipe'})
  const ended = new Promise(resolve => child.once('close', resolve))
  let said = ''
  child.stdout.setEncoding('utf8').on('data', piece => {
    said += piece
  })

  await eventually(() => asked > 3, {withinMs: 20_000, what: 'a fourth look'})
  child.kill('SIGINT')

  expect(await ended).toBe(130)
  expect(
    said
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line).name),
  ).toEqual(['gpu-2', 'gpu-10'])
})

describe('calls that are only shown', () => {
  test('--curl prints the call with secrets left to the shell, and sends nothing', async () => {
    const {ok, asked, url} = await person({})

    expect((await ok(['node', 'cordon', 'gpu-1', '--reason', "it's old", '--curl'])).stdout).toBe(
      `curl -sS -X POST -H "Authorization: Bearer $GPUCTL_TOKEN" -H 'content-type: application/json' --data '{"reason":"it'\\''s old"}' '${url}/gpuctl/v1/nodes/gpu-1/cordon'\n`,
    )
    expect(asked).toHaveLength(0)
  })

  test('--explain says operation, request, server and token; a look beforehand is made', async () => {
    const instance = {id: 'i-1', name: 'train', volumes: []}
    const {ok, asked, url} = await person({'GET /instances/train': instance})

    const plan = await ok(['instance', 'delete', 'train', '--explain'])

    expect(plan.stdout).toContain('Operation\tinstances.delete')
    expect(plan.stdout).toContain(`DELETE ${url}/gpuctl/v1/instances/i-1`)
    expect(plan.stdout).toContain('GPUCTL_TOKEN')
    expect(asked.map(({method}) => method)).toEqual(['GET'])
  })

  test('a command that calls no server says so and does nothing', async () => {
    const {run} = await person({})
    expect(await run(['context', 'delete', 'x', '--curl'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('calls no server'),
    })
  })
})

describe('names', () => {
  test('several at once: each is done, a refusal stands in the place of its answer and gives the exit code', async () => {
    const {run, asked} = await person({
      'POST /nodes/a/cordon': nodes[0],
      'POST /nodes/b/cordon': new Refusal(404, 'not_found', 'There is no node b.'),
      'POST /nodes/c/cordon': nodes[1],
    })

    const people = await run(['node', 'cordon', 'node/a', 'b', 'nodes/c'])
    expect(people).toMatchObject({code: 3, stdout: 'gpu-10 gets no new work.\ngpu-2 gets no new work.\n'})
    expect(people.stderr).toContain('There is no node b. (E_NOT_FOUND)')
    const {code, stdout} = await run(['node', 'cordon', 'a', 'b', '--json'])
    expect({code, list: JSON.parse(stdout)}).toMatchObject({code: 3, list: [{name: 'gpu-10'}, {name: 'b', error: {}}]})
    expect(asked).toHaveLength(5)
    expect(await run(['node', 'get', 'claim/a'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is a claim'),
    })
  })

  test('a name, a flag or a value that is nearly right is guessed', async () => {
    const missing = new Refusal(404, 'not_found', 'There is no node gpu-11.')
    Object.assign(missing.body.error, {details: {kind: 'node', name: 'gpu-11'}})
    const {run} = await person({'GET /nodes/gpu-11': missing, 'GET /nodes': nodes})
    const hint = async (...args: string[]) => (await run(args)).stderr

    expect(await hint('node', 'get', 'gpu-11')).toContain('Did you mean gpu-10?')
    expect(await hint('node', 'list', '--statsu', 'online')).toContain('Did you mean --status?')
    expect(await hint('node', 'list', '--status', 'onlin')).toContain('Did you mean online?')
  })
})

describe('the environment', () => {
  test('every flag has a variable, the typed flag wins over it, and one that says nothing is refused', async () => {
    const env = {
      GPUCTL_WHERE: 'name~^gpu-\nfree>1',
      GPUCTL_COLUMNS: 'name',
      GPUCTL_NO_HEADER: '1',
      GPUCTL_OUTPUT: 'csv',
    }
    const {ok, run} = await person({'GET /nodes': nodes}, env)

    expect((await ok(['node', 'list'])).stdout).toBe('gpu-10\r\n')
    expect((await ok(['node', 'list', '-o', 'md'])).stdout).toBe('| gpu-10 |\n')
    expect((await ok(['node', 'list', '-q'])).stdout).toBe('1\n')
    const broken = await operator({GPUCTL_QUIET: 'perhaps'})
    expect(await broken.run(['node', 'list'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('GPUCTL_QUIET=perhaps is neither yes nor no'),
    })
    expect((await run(['--limit', '1', 'node', 'list'])).stdout).toBe('gpu-10\r\n')
  })

  describe('the manifest', () => {
    interface Flag {
      name: string
      env?: string
      hidden?: boolean
    }
    let commands: {id: string; flags: Record<string, Flag>}[] = []
    beforeAll(() => {
      const path = new URL('../../oclif.manifest.json', import.meta.url)
      commands = Object.values(JSON.parse(readFileSync(path, 'utf8')).commands)
    })

    test('names the variable of each flag, but of those that must be typed', () => {
      const flags = commands.flatMap(command => Object.values(command.flags)).filter(({hidden}) => !hidden)
      const without = new Set(flags.filter(({env}) => env === undefined).map(({name}) => name))

      expect([...without].sort()).toEqual(
        ['confirm', 'force', 'gpus', 'hami-core', 'i-know', 'ssh-port', 'token', 'with-agent'].filter(name =>
          without.has(name),
        ),
      )
      expect(flags.every(({name, env}) => env === undefined || /^(GPUCTL|AWS)_/.test(env) || name === 'db')).toBe(true)
    })

    test('every list and every get can be watched', () => {
      const lists = commands.filter(({id}) => /:(list|get)$/.test(id) && !id.startsWith('config:'))
      const unwatched = lists.filter(({flags}) => !flags.watch).map(({id}) => id)
      expect(unwatched.filter(id => !id.startsWith('context:'))).toEqual([])
    })
  })
})

test('--color=always colours a pipe, NO_COLOR and --no-color do not', async () => {
  const {ok} = await person({'GET /nodes': nodes})
  const {ok: plain} = await person({'GET /nodes': nodes}, {NO_COLOR: '1', FORCE_COLOR: '1'})

  expect((await ok(['node', 'list', '-o', 'table', '--color=always'])).stdout).toContain('\x1b[')
  expect((await ok(['node', 'list', '-o', 'table'])).stdout).not.toContain('\x1b[')
  expect((await plain(['node', 'list', '-o', 'table'])).stdout).not.toContain('\x1b[')
})

test('--debug shows the exchange without secrets', async () => {
  const me = {id: 'u', username: 'ada', role: 'user'}
  const {run, home} = await person({'POST /auth/password': {done: true}, 'GET /auth/whoami': me})
  await writeFile(join(home, 'old'), 'old secret')
  await writeFile(join(home, 'new'), 'new-Secret-123456')

  const files = ['--current-password-file', join(home, 'old'), '--password-file', join(home, 'new')]
  const {stderr} = await run(['user', 'password', ...files, '--debug'])

  expect(stderr).toMatch(/debug: > POST \/gpuctl\/v1\/auth\/password, Authorization: Bearer \*\*\*/)
  expect(stderr).toContain('"password":"***"')
  expect(stderr).not.toMatch(/ecret-123456|old secret/)
})
