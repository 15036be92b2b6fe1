import {chmod, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {operator} from '../support/gpuctl.ts'
import {nativeServer, sendEvents} from './native-server.ts'

test('a default that is set holds, comes behind flag and variable, and says where it comes from', async () => {
  const {run, json, home, env} = await operator()
  const file = (await run(['config', 'path'])).stdout.trim()
  expect(file).toBe(join(home, 'config', 'config.yml'))

  expect(await run(['config', 'set', 'output', 'json'])).toMatchObject({code: 0, stdout: 'output is json.\n'})

  expect(JSON.parse((await run(['config', 'path'])).stdout)).toEqual({path: file})
  expect((await run(['config', 'path', '-o', 'table'])).stdout).toBe(`${file}\n`)
  const rows = await json<{name: string; value: string; origin: string}[]>(['config', 'list'])
  expect(rows).toContainEqual({name: 'server', value: 'http://127.0.0.1:8888', origin: 'default'})
  expect(rows).toContainEqual({name: 'output', value: 'json', origin: file})
  expect(rows).toContainEqual({name: 'keyring', value: 'file', origin: 'GPUCTL_KEYRING'})
  env.GPUCTL_OUTPUT = 'name'
  expect((await run(['config', 'get', 'output'])).stdout).toBe('name\n')
  delete env.GPUCTL_OUTPUT
  await run(['config', 'unset', 'output'])
  expect(await readFile(file, 'utf8')).toBe('contexts:\n')
  expect(await run(['config', 'get', 'output'])).toMatchObject({code: 0, stdout: ''})
})

test('a setting that is none, or a value that is wrong, is refused with what would be right', async () => {
  const {run, home} = await operator()
  const said = async (...args: string[]) => {
    const {code, stderr} = await run(args)
    return `${code} ${stderr}`
  }

  expect(await said('config', 'set', 'outptu', 'json')).toMatch(/^2 .*outptu is no setting.*Did you mean output\?/s)
  expect(await said('config', 'set', 'output', 'xml')).toMatch(/^2 .*output: xml is not one of table/)
  expect(await said('config', 'set', 'timeout', 'soon')).toMatch(/^2 .*Write it as 30s/s)
  await writeFile(join(home, '.gpuctl.yml'), 'defaults:\n  ssh: /tmp/evil\n')
  const {code, stderr} = await run(['config', 'list'], {cwd: home})
  expect(`${code} ${stderr}`).toMatch(/^2 .*\.gpuctl\.yml sets ssh\..*only set output and timeout/s)
})

test('an editor needs a terminal', async () => {
  const {run} = await operator({EDITOR: 'touch'})
  expect(await run(['config', 'edit'])).toMatchObject({code: 2, stderr: expect.stringContaining('needs a terminal')})
})

test('a context that is renamed keeps its login; an export holds no token', async () => {
  const {url, asked} = await nativeServer({
    'GET /auth/whoami': {username: 'ada', role: 'user', expiresAt: null, scopes: [], gpusHeld: 0, gpuQuota: 1},
  })
  const {run, json} = await operator()
  await run(['login', url, '--token-stdin', '--context', 'lab'], {input: 'secret-1\n'})
  await run(['context', 'add', 'far', '--server', 'https://far.example.org'])

  expect(await run(['context', 'rename', 'lab', 'far'])).toMatchObject({code: 5})
  expect(await run(['context', 'rename', 'nope', 'x'])).toMatchObject({code: 3})
  expect(await run(['context', 'rename', 'lab', 'old'])).toMatchObject({code: 0})

  expect(await json(['context', 'get'])).toMatchObject({name: 'old', server: url, current: true, tokenFrom: 'file'})
  await json(['whoami'])
  expect(asked.at(-1)?.headers.authorization).toBe('Bearer secret-1')
  const exported = await run(['context', 'export'])
  expect(exported.stdout).toBe(
    `contexts:\n  old:\n    server: "${url}"\n  far:\n    server: "https://far.example.org"\n`,
  )
  expect(await json(['context', 'export', 'far'])).toEqual({contexts: {far: {server: 'https://far.example.org'}}})
})

test('`whoami --token` prints the token for another program only with consent', async () => {
  const {run, json} = await operator({GPUCTL_TOKEN: 'secret-2'})

  expect(await run(['whoami', '--token'])).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringContaining('--yes'),
  })
  expect(await run(['whoami', '--token', '--yes'])).toMatchObject({code: 0, stdout: 'secret-2\n'})
  expect(await json(['whoami', '--token', '-y'])).toEqual({token: 'secret-2'})
})

test('users are shown, changed, locked out and let in again', async () => {
  const ada = {
    ...{id: 'u-1', number: 1, username: 'ada', role: 'user', enabled: true, gpuQuota: 1, maxPriority: 0},
    createdAt: '2026-01-01T00:00:00Z',
  }
  const {url, asked} = await nativeServer({'GET /users': [ada], 'PATCH /users/ada': ada})
  const {run, json} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'x'})

  expect(await json(['user', 'get', 'ada'])).toEqual(ada)
  expect(await run(['user', 'get', 'bob'])).toMatchObject({code: 3, stderr: expect.stringContaining('user bob')})
  expect(await run(['user', 'update', 'ada'])).toMatchObject({code: 2, stderr: expect.stringContaining('--gpus')})
  expect(await run(['user', 'disable', 'ada'])).toMatchObject({code: 2, stderr: expect.stringContaining('--yes')})
  await json(['user', 'update', 'ada', '--gpus', '8', '--role', 'viewer'])
  await json(['user', 'disable', 'ada', '--yes'])
  await json(['user', 'enable', 'ada'])
  expect(asked.filter(({method}) => method === 'PATCH').map(({body}) => body)).toEqual([
    {role: 'viewer', gpuQuota: 8},
    {enabled: false},
    {enabled: true},
  ])
})

test('`event list -w` prints what was since, then what happens', async () => {
  const event = (number: number, at: string) => ({
    ...{number, at, kind: 'node', objectId: 'n', objectName: 'gpu-1', type: 'Added', message: 'm', actor: 'ada'},
  })
  const [before, now] = [event(1, '2020-01-01T00:00:00Z'), event(2, new Date().toISOString())]
  const later = event(3, new Date().toISOString())
  const {url} = await nativeServer({
    'GET /events': [before, now],
    'GET /events/stream': (_: unknown, response: import('node:http').ServerResponse) =>
      sendEvents(response, [
        {id: 'a-2', data: now},
        {id: 'a-3', data: later},
        {event: 'end', data: {}},
      ]),
  })
  const {run, json} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'x'})

  const watched = await run(['event', 'list', '-w', '--since', '1h', '-o', 'ndjson'])
  expect(
    watched.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).number),
  ).toEqual([2, 3])
  expect(await json(['event', 'list', '--since', '2019-01-01T00:00:00Z'])).toHaveLength(2)
  expect(await run(['event', 'list', '--since', 'soon'])).toMatchObject({code: 2})
})

test('the settings file is edited as a copy, and kept only where it can be read', async () => {
  const {home, env, run} = await operator({GPUCTL_FORCE_TTY: '1'})
  const editor = join(home, 'editor')
  const editing = async (text: string) => {
    await writeFile(editor, `#!/bin/sh\nprintf '${text}' > "$1"\n`)
    await chmod(editor, 0o700)
    // script gives the program a terminal as standard input.
    const {execFileSync} = await import('node:child_process')
    const words = `${process.execPath} ${join(import.meta.dirname, '../../bin/run.js')} config edit`
    return execFileSync('script', ['-qec', words, '/dev/null'], {env: {...env, EDITOR: editor}, encoding: 'utf8'})
  }

  expect(await editing('defaults:\\n  output: wide\\n')).toContain('is changed')
  expect((await run(['config', 'get', 'output'])).stdout).toBe('wide\n')
  await expect(editing('defaults:\\n  output: nope\\n')).rejects.toThrow()
  expect((await run(['config', 'get', 'output'])).stdout).toBe('wide\n')
})
