import {readdirSync} from 'node:fs'
import {appendFile, chmod, readdir, readFile, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {operator} from '../support/gpuctl.ts'
import {nativeServer} from './native-server.ts'

const root = join(import.meta.dirname, '../..')
const bundles = join(root, 'dist/bundle')

/** Files of compiled code that the commands of this person have left. */
async function keptCode(home: string): Promise<string[]> {
  return readdir(join(home, 'cache/code')).catch(() => [])
}

describe('a light command loads nothing heavy', () => {
  test.each([
    ['node', 'list'],
    ['version'],
    ['claim', 'submit', '--image', 'busybox', '--gpus', '1'],
    ['context', 'list'],
    ['no-such-command'],
  ])('%s %s', async (...args) => {
    const {url} = await nativeServer({
      'GET /nodes': [],
      'GET /version': {version: '0.1.0', api: 'v1', serverId: 'x'},
      'POST /claims': {id: 'c', number: 1, name: 'c', spec: {gpus: 1}, status: {phase: 'Pending'}},
    })
    const ada = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'gpt_x'})

    await ada.run(args)

    const names = await keptCode(ada.home)
    expect(names.filter(name => name.startsWith('light-'))).toHaveLength(1)
    expect(names.filter(name => !name.startsWith('light-'))).toEqual([])
  })

  test('the bundles of the commands hold our code and the light part of oclif', async () => {
    const {light, cli} = {light: await packagesOf('light'), cli: await packagesOf('cli')}

    expect(light).toEqual(new Set(['@oclif/core']))
    expect(cli).toContain('@oclif/core')
    for (const heavy of [
      'fastify',
      'pg',
      'dockerode',
      'yaml',
      'jq-web',
      'typebox',
      'ajv',
      'chalk',
      'inquirer',
      'ws',
      'undici',
    ])
      expect(cli).not.toContain(heavy)
    for (const [name, limit] of Object.entries({light: 250_000, cli: 900_000})) {
      const text = await readFile(join(bundles, `${name}.cjs`), 'latin1')
      expect(text).not.toMatch(/[^\0-\x7f]/)
      expect(text.length).toBeLessThan(limit)
    }
  })
})

/** Whose code is in a bundle, as its source map tells. */
async function packagesOf(bundle: string): Promise<Set<string | undefined>> {
  const {sources} = JSON.parse(await readFile(join(bundles, `${bundle}.cjs.map`), 'utf8')) as {sources: string[]}
  const found = sources.filter(source => !/^[\w-]+:/.test(source))
  return new Set(found.flatMap(source => /node_modules\/((?:@[\w-]+\/)?[\w.-]+)\//.exec(source)?.[1] ?? []))
}

test.each([
  [['node', 'list']],
  [['node', 'list', '-o', 'json']],
  [['-o', 'json', 'no', 'ls']],
  [['node', 'list', '--status', 'well']],
  [['node', 'list', '--statu']],
  [['node', 'lisst']],
  [['node', 'get', 'gone']],
  [['node', 'list', '--help']],
  [['help', 'node']],
  [['node', 'label', 'gone', 'a=b']],
  [['completion', 'bash']],
])('%j says the same from compiled code, and without any', async args => {
  const {url} = await nativeServer({'GET /nodes': []})
  const environment = {GPUCTL_SERVER: url, GPUCTL_TOKEN: 'gpt_x', COLUMNS: '80'}
  const ada = await operator(environment)
  const bob = await operator({...environment, NODE_DISABLE_COMPILE_CACHE: '1'})

  const first = await ada.run(args)
  const second = await ada.run(args)

  expect(second).toEqual(first)
  expect(await bob.run(args)).toEqual(first)
})

test('the short way to --help says what the long way says', async () => {
  const ada = await operator()

  const short = await ada.ok(['--help'])
  const long = await operator({COLUMNS: '80'}).then(person => person.ok(['--help']))

  expect(short.stdout).toBe(long.stdout)
  expect(await keptCode(ada.home)).toEqual([])
})

describe('compiled code', () => {
  test('is kept by the first start, for the owner alone, and used by the next', async () => {
    const ada = await operator()
    await ada.ok(['context', 'list'])
    const [name = ''] = await keptCode(ada.home)
    const path = join(ada.home, 'cache/code', name)
    const first = await stat(path)

    await ada.ok(['context', 'list'])

    expect(name).toMatch(/^light-[0-9a-f]{16}-v\d+\.\d+\.\d+-\w+-[0-9a-f]+-context\.list$/)
    expect(first.mode & 0o777).toBe(0o600)
    expect((await stat(join(ada.home, 'cache/code'))).mode & 0o777).toBe(0o700)
    expect((await stat(path)).ino).toBe(first.ino)
  })

  test('of the server is taken at its next start: V8 has the same flags when it is kept and when it is asked', async () => {
    const ada = await operator()
    const startAndStop = async () => {
      await ada.ok(['server', 'start', '--detach', '--listen', '127.0.0.1:0'])
      await ada.ok(['server', 'stop'])
      const name = (await keptCode(ada.home)).find(one => /^main-.*-server\.start$/.test(one)) as string
      return (await stat(join(ada.home, 'cache/code', name))).ino
    }
    const first = await startAndStop()

    expect(await startAndStop()).toBe(first)
  })

  test('that is damaged is made anew', async () => {
    const ada = await operator()
    await ada.ok(['context', 'list'])
    const [name = ''] = await keptCode(ada.home)
    const path = join(ada.home, 'cache/code', name)
    await writeFile(path, 'no code')

    expect(await ada.run(['context', 'list'])).toMatchObject({code: 0, stderr: ''})

    expect((await stat(path)).size).toBeGreaterThan(10_000)
  })

  test('that others could write is not run', async () => {
    const ada = await operator()
    await ada.ok(['context', 'list'])
    const [name = ''] = await keptCode(ada.home)
    const path = join(ada.home, 'cache/code', name)
    const before = await stat(path)
    await appendFile(path, '')
    await chmod(path, 0o666)

    await ada.ok(['context', 'list'])

    // Written again by a rename: not the file that others could write.
    expect((await stat(path)).ino).not.toBe(before.ino)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('is neither kept in a folder that others may write, nor where nothing is to be kept', async () => {
    const ada = await operator({NODE_DISABLE_COMPILE_CACHE: '1'})
    await ada.ok(['context', 'list'])
    expect(await keptCode(ada.home)).toEqual([])

    const bob = await operator()
    await bob.ok(['context', 'list'])
    for (const name of await keptCode(bob.home)) await chmod(join(bob.home, 'cache/code', name), 0o600)
    await chmod(join(bob.home, 'cache/code'), 0o777)
    const before = readdirSync(join(bob.home, 'cache/code')).length
    await bob.ok(['context', 'get', 'none']).catch(() => {})
    expect(readdirSync(join(bob.home, 'cache/code'))).toHaveLength(before)
  })
})

test('there are no oclif hooks and no plugins: the light way to a command would not run them', async () => {
  const {oclif} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {oclif: Record<string, unknown>}

  expect(Object.keys(oclif)).not.toContain('hooks')
  expect(Object.keys(oclif)).not.toContain('plugins')
})
