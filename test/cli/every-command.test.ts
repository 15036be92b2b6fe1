import {execFile} from 'node:child_process'
import {chmod, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {findCommand} from '../../src/cli/argv.ts'
import {exitCode} from '../../src/cli/exit-codes.ts'
import {makeCertificates} from '../support/certs.ts'
import {type ContractServer, contractServer} from '../support/contract-server.ts'
import {program} from '../support/gpuctl.ts'

interface Manifest {
  commands: Record<string, {hidden: boolean; examples?: (string | {command: string})[]}>
}

/** Commands that do more than ask the server, and the test that runs them for real. */
const elsewhere: Record<string, string> = {
  apply: 'cli/apply.test.ts',
  diff: 'cli/apply.test.ts',
  doctor: 'cli/doctor.test.ts',
  export: 'cli/apply.test.ts',
  'agent doctor': 'cli/doctor.test.ts',
  'agent install': 'cli/install.test.ts',
  'agent reset': 'cli/server-place.test.ts',
  'agent start': 'e2e/runtime-agent.test.ts',
  'agent status': 'e2e/main-job.test.ts',
  'agent stop': 'e2e/main-job.test.ts',
  'agent uninstall': 'cli/install.test.ts',
  'backup download': 'cli/backup-download.test.ts',
  down: 'e2e/main-job.test.ts',
  'image upload': 'cli/image-files.test.ts',
  help: 'cli/docs.test.ts',
  'instance cp': 'e2e/access-files.test.ts',
  'instance exec': 'e2e/access-terminal.test.ts',
  'instance open': 'e2e/access-ports.test.ts',
  'instance port-forward': 'e2e/access-ports.test.ts',
  'instance restart': 'e2e/access-logs.test.ts',
  'instance snapshot restore': 'cli/instance-changes.test.ts',
  'instance ssh': 'e2e/access-ssh.test.ts',
  'instance ssh-config write': 'e2e/access-ssh.test.ts',
  'instance terminal': 'e2e/access-terminal.test.ts',
  login: 'cli/accounts.test.ts',
  'model chat': 'e2e/models.test.ts',
  register: 'cli/accounts.test.ts',
  'server backup': 'cli/backup.test.ts',
  'server doctor': 'cli/doctor.test.ts',
  'server init': 'cli/server-place.test.ts',
  'server install': 'cli/install.test.ts',
  'server migrate': 'cli/migrate.test.ts',
  'server restart': 'cli/server-place.test.ts',
  'server restore': 'cli/backup.test.ts',
  'server start': 'cli/server-place.test.ts',
  'server status': 'e2e/main-job.test.ts',
  'server stop': 'cli/server-place.test.ts',
  'server uninstall': 'cli/install.test.ts',
  'server user-reset-password': 'cli/server-place.test.ts',
  top: 'cli/top.test.ts',
  up: 'e2e/main-job.test.ts',
}

/** Examples that look for what they name in an answer, or send an answer back; the stand-in answers with strangers. */
const useTheAnswer = /^gpuctl (gpu get|gpu stats gpu|node label|server config get auth|user (get|show) ada)/

/** Single examples that want more than this place has. */
const notHere: Record<string, string> = {
  'gpuctl user password': 'asks a person at a terminal',
  'gpuctl config edit': 'opens an editor',
  'EDITOR="code -w" gpuctl config edit': 'opens an editor',
  'gpuctl context export lab | sudo tee /etc/gpuctl/config.yml': 'writes outside',
  'gpuctl instance ssh-config remove --context lab': 'wants that server',
  'gpuctl user create ada --gpus 4': 'asks a person at a terminal',
  'gpuctl instance ssh-config print > lab.config && ssh -F lab.config gpuctl.train': 'wants a jump host',
  'printf "Authorization: Bearer %s" "$(gpuctl whoami --token --yes)" | curl -H @- http://127.0.0.1:8888/gpuctl/v1/nodes':
    'calls a server of its own',
  'gpuctl api GET /openapi.json': 'is not an operation of the contract',
}

const manifest: Manifest = JSON.parse(await readFile(new URL('../../oclif.manifest.json', import.meta.url), 'utf8'))
const shapes = new Map(Object.keys(manifest.commands).map(id => [id, {}]))
const all = Object.entries(manifest.commands)
  .filter(([, {hidden}]) => !hidden)
  .map(([id, {examples = []}]) => ({name: id.replaceAll(':', ' '), examples: examples.map(asTyped(id))}))
const commands = all.filter(({name}) => !Object.hasOwn(elsewhere, name))
const isHere = (line: string) => !Object.hasOwn(notHere, line) && !useTheAnswer.test(line)
const examples = commands.flatMap(one => one.examples).filter(isHere)
const first = commands
  .map(({name, examples}) => ({name, line: (examples.find(isHere) ?? '').replace(/^(gpuctl .*) >.*/, '$1')}))
  .filter(({line}) => line !== '')
/** Examples that ask for JSON, and print it. */
const asksForJson = (line: string) => /(?: -o json| --json)(?![\w=,])/.test(line) && !/[|>]/.test(line)
const withoutJson = first.filter(
  ({name}) => !commands.some(one => one.name === name && one.examples.filter(isHere).some(asksForJson)),
)
/** The last two ways only for one command in four, unless all are asked for. */
const some = first.filter((_, at) => process.env.GPUCTL_TEST_EVERY_WAY || at % 4 === 0)
const documented = new Set<number>(Object.values(exitCode))

/** What a terminal obeys and what an eye takes for something else: escapes, C1, bidi, zero width. */
const unsafe = /[\0-\x08\v-\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u

let server: ContractServer
let place: {folder: string; env: NodeJS.ProcessEnv}

beforeAll(async () => {
  server = await contractServer()
  place = await workplace(server.url)
})

afterAll(async () => {
  await server.close()
  await rm(place.folder, {recursive: true, force: true})
})

test('each command has two examples', () => {
  expect(all.filter(one => one.examples.length < 2).map(({name}) => name)).toEqual([])
})

test.each(Object.entries(elsewhere))('%s is run by %s', async (name, file) => {
  const source = await readFile(new URL(`../${file}`, import.meta.url), 'utf8')

  expect(all.map(one => one.name)).toContain(name)
  expect(commandsTyped(source)).toContain(name)
})

describe('each example of the help runs as it stands', {concurrent: true, timeout: 60_000}, () => {
  test.each(examples)('%s', async line => {
    const {code, stdout, stderr} = await shell(line)

    expect({code, stderr}).toMatchObject({code: expectedCode(line)})
    if (!line.includes('gpuctl api')) expect(unsafe.exec(stdout)).toBeNull() // that one passes bodies on as they are
    expect(unsafe.exec(stderr)).toBeNull()
    if (asksForJson(line)) expect(documents(stdout)).not.toHaveLength(0)
  })
})

describe('for machines each other command prints one JSON document too, or one to a line', {
  concurrent: true,
  timeout: 60_000,
}, () => {
  test.each(withoutJson)('$name', async ({name, line}) => {
    const {code, stdout, stderr} = await shell(line, {env: {GPUCTL_OUTPUT: 'json'}})

    expect({code, stderr}).toMatchObject({code: expectedCode(line)})
    expect(documents(stdout)).not.toHaveLength(0)
    if (name !== 'api') expect(unsafe.exec(stdout)).toBeNull()
  })
})

describe('a failure is one envelope on stdout and a documented exit code', {concurrent: true, timeout: 60_000}, () => {
  test.each(first)('$name', async ({line}) => {
    const {code, stdout, stderr} = await shell(line, {
      env: {GPUCTL_OUTPUT: 'json', GPUCTL_SERVER: 'http://127.0.0.1:1'},
    })

    expect(documented).toContain(code)
    if (code === 0) return // it works without a server
    const found = documents(stdout)
    expect({found, stderr}).toMatchObject({found: [{error: {code: expect.any(String), message: expect.any(String)}}]})
  })
})

describe('a reader that leaves at once is no failure', {concurrent: true, timeout: 60_000}, () => {
  test.each(some)('$name', async ({line}) => {
    const {code, stderr} = await shell(line, {wrap: typed => `set -o pipefail; { ${typed}; } | true`})

    expect([exitCode.ok, expectedCode(line)], stderr).toContain(code) // who leaves before the first byte ends it with 0
    expect(stderr).not.toContain('EPIPE')
  })
})

describe('40 columns of a terminal without colour hold it', {concurrent: true, timeout: 60_000}, () => {
  test.each(some)('$name', async ({line}) => {
    const {code, stdout} = await shell(line, {
      env: {NO_COLOR: '1', TERM: 'xterm', GPUCTL_PAGER: 'cat'},
      wrap: () => 'script -qec "stty cols 40 rows 24; $EXAMPLE" /dev/null',
    })

    expect(code, stdout).toBe(expectedCode(line))
    expect(stdout).not.toMatch(colour)
  })

  test('and so does the sign of waiting for a server that is slow', async () => {
    const slow = createServer((_, response) => setTimeout(() => response.writeHead(503).end(), 1_500))
    await new Promise<void>(resolve => slow.listen(0, '127.0.0.1', resolve))
    const {stdout} = await shell(`gpuctl status --server http://127.0.0.1:${(slow.address() as AddressInfo).port}`, {
      env: {NO_COLOR: '1', TERM: 'xterm'},
      wrap: () => 'script -qec "$EXAMPLE" /dev/null',
    })
    slow.close()

    expect(stdout).toContain('Waiting for')
    expect(stdout).not.toMatch(colour)
  })
})

const colour = /\x1b\[[\d;]*m/

/**
 * The fleet of the stand-in has something broken in it, which `status` tells, and its audit a fault; a dry run on the server
 * finds a change.
 */
function expectedCode(line: string): number {
  if (/ (--dry-run|-n)$/.test(line) && !line.includes('ssh-config')) return exitCode.differs
  return /^gpuctl (status|audit verify)/.test(line) ? exitCode.failure : exitCode.ok
}

/** Commands that a test runs: what leads to one of the lists `['node', 'list', …]` in it, of `gpuctl node list`, `run('node list')`. */
function commandsTyped(source: string): Set<string> {
  const lists = [...source.matchAll(/\[\s*((?:'[^'\n]*',?\s*)+)/g)].map(([, words = '']) =>
    [...words.matchAll(/'([^']*)'/g)].map(([, word = '']) => word),
  )
  const lines = [...source.matchAll(/(?:gpuctl |\brun\(['"`])([a-z][^'"`\n]*)/g)].map(([, line = '']) =>
    line.split(' '),
  )
  return new Set([...lists, ...lines].map(words => findCommand(words, shapes).id?.replaceAll(':', ' ') ?? ''))
}

/** The output as JSON: one document, or one to a line. */
function documents(text: string): unknown[] {
  try {
    return [JSON.parse(text)]
  } catch {
    return text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line))
  }
}

function asTyped(id: string) {
  return (example: string | {command: string}) =>
    (typeof example === 'string' ? example : example.command)
      .replaceAll('<%= config.bin %>', 'gpuctl')
      .replaceAll('<%= command.id %>', id.replaceAll(':', ' '))
}

interface Shelled {
  code: number
  stdout: string
  stderr: string
}

interface Way {
  env?: NodeJS.ProcessEnv
  /** What is typed around the example. */
  wrap?: (line: string) => string
}

/** Each with a configuration of its own, for what one example adds must not be in another's way. */
async function shell(example: string, {env = {}, wrap = line => line}: Way = {}): Promise<Shelled> {
  const line = example.replaceAll('/run/secrets/', 'secrets/')
  const config = await mkdtemp(join(place.folder, 'config-'))
  await writeFile(join(config, 'config.yml'), contexts(line), {mode: 0o600})
  const own = {
    GPUCTL_CONFIG_DIR: config,
    EXAMPLE: line,
    GPUCTL_TOKEN: /completed|instance stop|^gpuctl claim wait train$/.test(line) ? 'gpt_ended' : 'gpt_going',
    ...(isContext(line) ? {GPUCTL_SERVER: ''} : {}),
  }
  const options = {cwd: place.folder, env: {...place.env, ...own, ...env}, timeout: 55_000, maxBuffer: 8 * 1024 * 1024}
  return new Promise(resolve => {
    const child = execFile('bash', ['-c', wrap(line)], options, (error, stdout, stderr) =>
      resolve({code: error ? Number(error.code ?? -1) : 0, stdout, stderr}),
    )
    child.stdin?.end()
  })
}

function isContext(line: string): boolean {
  return /(context|ctx) (?!add)/.test(line)
}

/** Config files for examples that say something of contexts. */
function contexts(line: string): string {
  if (!isContext(line)) return ''
  const servers = ['lab', 'local', 'a'].map((name, at) => `  ${name}:\n    server: http://127.0.0.1:${at + 2}\n`)
  return `current: lab\ncontexts:\n${servers.join('')}`
}

/** A folder with the files that the examples name, and programs that stand for a person's own. */
async function workplace(url: string): Promise<{folder: string; env: NodeJS.ProcessEnv}> {
  const folder = await mkdtemp(join(tmpdir(), 'gpuctl-examples-'))
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const programs = {
    gpuctl: `exec '${process.execPath}' '${program}' "$@"`,
    pass: 'echo Long-enough-words',
    'ssh-add': 'cat "$HOME/laptop.pub"',
  }
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`)
    await chmod(join(bin, name), 0o755)
  }
  const {client} = await makeCertificates(join(folder, 'tls'))
  await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'laptop')])
  const publicKey = await readFile(join(folder, 'laptop.pub'), 'utf8')
  const files = {
    'train.yml': 'image: pytorch\ngpus:\n  count: 1\n',
    ...Object.fromEntries(['lab', 'ca', 'cert', 'new-cert'].map(name => [`${name}.pem`, client.cert])),
    ...Object.fromEntries(['key', 'new-key'].map(name => [`${name}.pem`, client.key])),
    'key.txt': 'a-secret-of-the-bucket',
    'debian-12.img': 'not much of an image',
    'build/disk.img': 'not much of an image',
    'secrets/ops': 'Long-enough-words',
    'secrets/ada': 'Long-enough-words',
    '.ssh/id_ed25519.pub': publicKey,
  }
  for (const name of ['build', 'secrets', '.ssh', '.zfunc']) await mkdir(join(folder, name))
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content, {mode: 0o600})
  const {HOME: _, ...inherited} = process.env
  const env = {
    ...inherited,
    HOME: folder,
    PATH: `${bin}:${process.env.PATH}`,
    GPUCTL_SERVER: url,
    GPUCTL_DATA_DIR: join(folder, 'data'),
    GPUCTL_CACHE_DIR: join(folder, 'cache'),
    GPUCTL_KEYRING: 'file',
    GPUCTL_YES: '1',
    OLD: 'Long-enough-before',
    NEW: 'Long-enough-words',
  }
  return {folder, env}
}
