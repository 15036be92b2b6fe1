import {readFileSync} from 'node:fs'
import {mkdir, readFile, symlink, writeFile} from 'node:fs/promises'
import {delimiter, join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {type Candidate, complete} from '../../src/cli/completion/candidates.ts'
import type {Kind} from '../../src/cli/completion/kinds.ts'
import {encodeNames, readNames} from '../../src/cli/completion/names.ts'
import {scripts} from '../../src/cli/completion/scripts.ts'
import {treeOf} from '../../src/cli/completion/tree.ts'
import {operator, program} from '../support/gpuctl.ts'
import {Screen} from '../support/screen.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {nativeServer} from './native-server.ts'

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'))
const tree = treeOf(read('oclif.manifest.json'), read('package.json').oclif.topics)

const known: Partial<Record<Kind, string[]>> = {
  node: ['gpu-1', 'gpu-2', 'lab'],
  instance: ['train'],
  context: ['local', 'far'],
  site: ['example.com'],
  user: ['ada'],
}
const namesOf = (kind: Kind): Candidate[] => (known[kind] ?? []).map(word => ({word, about: ''}))

function tab(line: string): {words: string[]; directive: string} {
  const typed = line.split(' ')
  const {candidates, directive} = complete({words: typed.slice(0, -1), current: typed.at(-1) ?? ''}, tree, namesOf)
  return {words: candidates.map(({word}) => word), directive}
}

test.each([
  ['no', ['node']],
  ['node ge', ['get']],
  ['nodes ge', ['get']],
  ['node join-token ', ['create', 'list', 'revoke']],
  ['node get ', ['gpu-1', 'gpu-2', 'lab']],
  ['node get gpu', ['gpu-1', 'gpu-2']],
  ['no info gpu-2', ['gpu-2']],
  ['node list -o js', ['json']],
  ['-o json node g', ['get']],
  ['node list --output=nd', ['--output=ndjson']],
  ['node list --outp', ['--output']],
  ['node list --no-c', ['--no-color']],
  ['node list -q --qui', []],
  ['claim submit --node ', ['gpu-1', 'gpu-2', 'lab']],
  ['context use ', ['far', 'local']],
  ['context add ', []],
  ['logs tr', ['train']],
  ['wait no', ['node/']],
  ['wait s', ['site/', 'spec/']],
  ['wait node/gpu', ['node/gpu-1', 'node/gpu-2']],
  ['site create x --owner ', ['ada']],
  ['user update ada --role s', ['super_admin']],
  ['help no', []],
  ['nonsense x', []],
  ['completion f', ['fish']],
])('gpuctl %s⇥ offers %j', (line, expected) => {
  expect(tab(line).words).toEqual(expected)
})

test.each([
  ['claim submit --file ', 'files'],
  ['server start --data ', 'folders'],
  ['exec train ls ', 'files'],
  ['wait no', 'stay'],
  ['node get ', 'none'],
])('gpuctl %s⇥ leaves the rest to the shell as %s', (line, directive) => {
  expect(tab(line).directive).toBe(directive)
})

test('hidden commands and flags are not offered, and every command is reached by Tabs', () => {
  expect(tab('completion ').words).not.toContain('refresh')
  expect(tab('node list --json-f').words).toEqual([])
  for (const id of Object.keys(tree.commands)) {
    const words = id.split(':')
    expect(
      tab(words.join(' ')).words.concat(tab(`${words.slice(0, -1).join(' ')}${words.length > 1 ? ' ' : ''}`).words),
    ).toContain(words.at(-1))
  }
})

test('T27: names that a shell would take for more than a word are not kept, and none is taken from another scope', async () => {
  const path = join(await temporaryDirectory(), 'names.json')
  const hostile = ['$(touch x)', '`id`', 'a b', 'a;b', '-rf', 'a\nb', '\x1b[31m', 'ok-1', 'ünïcode', "'", '"', '../x']
  await writeFile(
    path,
    encodeNames(
      'mine',
      hostile.map(word => ({word, about: '\x1b]0;x\x07'})),
    ),
  )

  expect(readNames(path, 'mine').names.map(({word}) => word)).toEqual(['ok-1'])
  expect(readNames(path, 'another').names).toEqual([])
})

const node = {id: 'n', number: 1, name: 'gpu-7', hostname: 'gpu-7', status: 'online', code: null}

test('names are fetched behind a Tab with the login of the person, and are there at a later one', async () => {
  const {url, asked} = await nativeServer({'GET /nodes': [node]})
  const {run} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret'})

  expect(await run(['__complete', 'node', 'get', ''])).toEqual({code: 0, stdout: ':none\n', stderr: ''})

  await eventually(async () => (await run(['__complete', 'node', 'get', 'g'])).stdout === 'gpu-7\tonline\n:none\n', {
    withinMs: 25_000,
    what: 'the name of the node',
  })
  expect(asked[0]?.headers.authorization).toBe('Bearer secret')
  expect(await run(['__complete', 'node', 'get', '', '--server', 'http://127.0.0.1:1', ''])).toMatchObject({code: 0})
  expect(asked).toHaveLength(1)
})

test('nothing is printed and nothing fails where the server is away or the settings are damaged', async () => {
  const {run, env, home} = await operator({GPUCTL_SERVER: 'http://127.0.0.1:1'})
  await mkdir(env.GPUCTL_CONFIG_DIR as string, {recursive: true})
  await writeFile(join(home, 'config', 'config.yml'), '{{{')

  expect(await run(['__complete', 'node', 'get', ''])).toEqual({code: 0, stdout: ':none\n', stderr: ''})
  expect(await run(['__complete'])).toMatchObject({code: 0, stderr: ''})
  env.GPUCTL_CACHE_DIR = join(home, 'config', 'config.yml')
  expect(await run(['__complete', 'node', 'get', ''])).toMatchObject({code: 0, stderr: ''})
})

test('it is installed with consent, twice as once, and taken away without a trace', async () => {
  const {run, home, env} = await operator()
  env.HOME = home
  const rc = join(home, '.bashrc')
  await writeFile(rc, 'alias x=y')

  expect(await run(['completion', 'bash', '--install'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--yes'),
  })
  expect(await readFile(rc, 'utf8')).toBe('alias x=y')
  const files = [join(home, '.local/share/gpuctl/completion.bash'), rc]
  const {stdout} = await run(['completion', 'bash', '--install', '--yes', '-o', 'json'])
  expect(JSON.parse(stdout)).toEqual({shell: 'bash', files})
  await run(['completion', 'bash', '--install', '--yes'])
  expect((await readFile(rc, 'utf8')).match(/gpuctl completion >>>/g)).toHaveLength(1)
  expect(await readFile(files[0] as string, 'utf8')).toBe(scripts.bash)
  await run(['completion', 'bash', '--uninstall', '--yes'])
  expect(await readFile(rc, 'utf8')).toBe('alias x=y\n')
  await expect(readFile(files[0] as string)).rejects.toThrow('ENOENT')
  expect(await run(['completion'])).toMatchObject({code: 2, stderr: expect.stringContaining('powershell')})
})

describe('in the real shells', () => {
  test.for([
    ['bash', 'bash --norc -i', '. <(gpuctl completion bash)'],
    ['zsh', 'zsh -f -i', 'autoload -Uz compinit && compinit -u; . <(gpuctl completion zsh)'],
    ['fish', 'fish --no-config -i', 'gpuctl completion fish | source'],
  ])('%s completes commands, flags and live names', async ([, shell, load], context) => {
    need(context, 'shells')
    const {url} = await nativeServer({'GET /nodes': [node, {...node, id: 'm', name: 'x:8', hostname: 'x'}]})
    const {home, env} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret'})
    await symlink(program, join(home, 'gpuctl'))
    const variables = Object.entries(env).filter(([name]) => name.startsWith('GPUCTL_'))
    const cliEnvironment = {
      ...Object.fromEntries(variables),
      ...{HOME: home, TERM: 'screen', LC_ALL: 'C.UTF-8'},
    }
    const screen = new Screen({cliEnvironment: cliEnvironment as Record<string, string>})
    await screen.shows(/here>/)
    // tmux begins with a login shell, which sets PATH anew.
    screen.type(`PATH=${home}${delimiter}$PATH ${shell}`)
    screen.press('Enter')
    screen.type(`${load}; echo load""ed`)
    screen.press('Enter')
    await screen.shows(/^loaded/m)

    // A space behind the cursor is not seen; the next word shows it.
    screen.type('gpuctl nod')
    screen.press('Tab')
    await screen.shows(/gpuctl node$/m)
    screen.type('ge')
    screen.press('Tab')
    await screen.shows(/gpuctl node get$/m)
    // The first Tab asks behind; a later one knows.
    await eventually(
      async () => {
        screen.type('gp')
        screen.press('Tab')
        const isThere = await screen.shows(/gpuctl node get gpu-7$/m, 3_000).then(
          () => true,
          () => false,
        )
        if (!isThere) screen.press('BSpace', 'BSpace')
        return isThere
      },
      {withinMs: 25_000, what: 'the live name'},
    )
    screen.type('--outp')
    screen.press('Tab')
    await screen.shows(/gpu-7 --output$/m)
    screen.press('C-c')
    screen.type('gpuctl node get x:')
    screen.press('Tab')
    await screen.shows(/gpuctl node get x:8$/m)
  })
})
