import {lstat, mkdir, readdir, readFile, rename, stat, symlink, utimes, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {chooseServer, deleteContext, saveContext} from '../../src/cli/context.ts'
import {Credentials} from '../../src/cli/credentials.ts'
import {configDirectory} from '../../src/cli/places.ts'
import {readPlainYaml, writePlainYaml} from '../../src/cli/plain-yaml.ts'
import {loadSettings, type SettingsPlaces} from '../../src/cli/settings.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

/** A machine with settings of the system, the user and the project. */
async function machine(files: {system?: string; user?: string; project?: string}): Promise<Required<SettingsPlaces>> {
  const home = await temporaryDirectory()
  for (const folder of ['etc', 'user', 'project']) await mkdir(join(home, folder))
  if (files.system) await writeFile(join(home, 'etc', 'config.yml'), files.system)
  if (files.user) await writeFile(join(home, 'user', 'config.yml'), files.user)
  if (files.project) await writeFile(join(home, 'project', '.gpuctl.yml'), files.project)
  return {
    env: {GPUCTL_CONFIG_DIR: join(home, 'user'), GPUCTL_KEYRING: 'file'},
    folder: join(home, 'project'),
    system: join(home, 'etc'),
  }
}

const system = 'current: wide\ncontexts:\n  wide:\n    server: http://wide:1\n'
const user = 'current: mine\ncontexts:\n  mine: {server: "http://mine:1"}\n  other: {server: "http://other:1"}\n'

test.each([
  ['nothing at all', {}, {}, {}, 'http://127.0.0.1:8888', 'default'],
  ['the system’s file', {system}, {}, {}, 'http://wide:1', 'config'],
  ['the user’s file', {system, user}, {}, {}, 'http://mine:1', 'config'],
  ['the project’s file', {user, project: 'server: http://proj:1'}, {}, {}, 'http://proj:1', '.gpuctl.yml'],
  ['the project’s context', {user, project: 'context: other'}, {}, {}, 'http://other:1', '.gpuctl.yml'],
  [
    'a variable',
    {user, project: 'context: other'},
    {GPUCTL_SERVER: 'http://env:1'},
    {},
    'http://env:1',
    'GPUCTL_SERVER',
  ],
  ['a context’s variable', {user}, {GPUCTL_CONTEXT: 'other'}, {}, 'http://other:1', 'GPUCTL_CONTEXT'],
  ['a flag', {user}, {GPUCTL_SERVER: 'http://env:1'}, {context: 'other'}, 'http://other:1', '--context'],
  [
    'the server’s flag',
    {user},
    {GPUCTL_CONTEXT: 'other'},
    {server: 'flag:7', context: 'mine'},
    'http://flag:7',
    '--server',
  ],
])('the server comes from %s', async (_, files, env, flags, server, origin) => {
  const places = await machine(files)
  const settings = await loadSettings(places)
  expect(chooseServer(settings, flags, {...places.env, ...env})).toMatchObject({server, origin})
})

test('a token in the shared project file is refused', async () => {
  await expect(loadSettings(await machine({project: 'token: abc'}))).rejects.toMatchObject({exitCode: 2})
})

test('an unknown context is not found, an address with a password is refused', async () => {
  const settings = await loadSettings(await machine({user}))
  expect(() => chooseServer(settings, {context: 'nope'}, {})).toThrow(expect.objectContaining({exitCode: 3}))
  expect(() => chooseServer(settings, {server: 'http://a:b@x'}, {})).toThrow(expect.objectContaining({exitCode: 2}))
})

test('of changes at the same time none is lost, also beside the lock of a program that was killed', async () => {
  const {env, ...places} = await machine({user})
  const lock = join(env.GPUCTL_CONFIG_DIR as string, 'config.yml.lock')
  await writeFile(lock, '')
  const longAgo = new Date(Date.now() - 60_000)
  await utimes(lock, longAgo, longAgo)

  const names = Array.from({length: 12}, (_, at) => `server-${at}`)
  await Promise.all(names.map(name => saveContext(name, {server: `http://${name}:1`, token: name}, env)))

  const {contexts} = await loadSettings({env, ...places})
  expect(Object.keys(contexts).sort()).toEqual(['mine', 'other', ...names].sort())
  const credentials = new Credentials({env, directory: env.GPUCTL_CONFIG_DIR as string})
  const tokens = await Promise.all(names.map(name => credentials.find(`http://${name}:1`, name)))
  expect(tokens.map(found => found?.token)).toEqual(names)
  expect((await readdir(env.GPUCTL_CONFIG_DIR as string)).sort()).toEqual(['config.yml', 'credentials.json'])
})

test('a settings file that is a link stays one; one that cannot be written or read is named', async () => {
  const {env, folder} = await machine({user})
  const [path, real] = [join(env.GPUCTL_CONFIG_DIR as string, 'config.yml'), join(folder, 'dotfiles.yml')]
  await rename(path, real)
  await symlink(real, path)

  await saveContext('new', {server: 'http://new:1'}, env)

  expect((await lstat(path)).isSymbolicLink()).toBe(true)
  expect(await readFile(real, 'utf8')).toContain('http://new:1')
  const under = {GPUCTL_CONFIG_DIR: join(real, 'folder')}
  await expect(saveContext('new', {server: 'http://new:1'}, under)).rejects.toMatchObject({
    ...{code: 'file_unwritable', exitCode: 1, message: expect.stringContaining(join(real, 'folder', 'config.yml'))},
  })
  await mkdir(join(folder, 'config.yml'))
  await expect(loadSettings({env: {GPUCTL_CONFIG_DIR: folder}, folder})).rejects.toMatchObject({
    ...{exitCode: 2, message: `${join(folder, 'config.yml')} cannot be read: it is a folder.`},
  })
})

test('an empty $HOME is none', () => {
  expect(configDirectory({HOME: '', XDG_CONFIG_HOME: ''})).toMatch(/^\/.*gpuctl$/)
})

test('what we write we read without the library, and other YAML is left to it', () => {
  const tree = {current: 'a b: #"c"', contexts: {x: {server: 'http://x:1'}}}
  expect(readPlainYaml(writePlainYaml(tree))).toEqual(tree)
  expect(readPlainYaml('a: [1, 2]')).toBeUndefined()
  expect(readPlainYaml('a: "open')).toBeUndefined()
})

describe('tokens on a machine without a keyring', () => {
  test('lie in a file that only the owner reads, with one notice', async () => {
    const directory = await temporaryDirectory()
    const notices: string[] = []
    const env = {DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere', GPUCTL_KEYRING: 'file'}
    const credentials = new Credentials({env, directory, notice: line => notices.push(line)})

    expect(await credentials.save('http://x:1', 'local', 'secret')).toBe('file')

    expect((await stat(join(directory, 'credentials.json'))).mode & 0o777).toBe(0o600)
    expect(await credentials.find('http://x:1', 'local')).toEqual({token: 'secret', from: 'file'})
    expect(await credentials.find('http://evil:1', 'local')).toBeUndefined()
    await credentials.forget('http://x:1', 'local')
    expect(await credentials.find('http://x:1', 'local')).toBeUndefined()
  })

  test('the environment comes first, a file named there next', async () => {
    const directory = await temporaryDirectory()
    const file = join(directory, 'token')
    await writeFile(file, 'from-file\n')
    await new Credentials({env: {GPUCTL_KEYRING: 'file'}, directory}).save('http://x:1', 'local', 'kept')
    const find = (env: NodeJS.ProcessEnv) =>
      new Credentials({env: {GPUCTL_KEYRING: 'file', ...env}, directory}).find('http://x:1', 'local')

    expect(await find({GPUCTL_TOKEN: 'env', GPUCTL_TOKEN_FILE: file})).toEqual({token: 'env', from: 'GPUCTL_TOKEN'})
    expect(await find({GPUCTL_TOKEN_FILE: file})).toEqual({token: 'from-file', from: 'GPUCTL_TOKEN_FILE'})
    expect(await find({})).toEqual({token: 'kept', from: 'file'})
    await expect(find({GPUCTL_TOKEN: 'two words'})).rejects.toMatchObject({exitCode: 2})
  })

  test('a context that goes takes its token along; files of others are refused', async () => {
    const {env, ...places} = await machine({})
    await saveContext('lab', {server: 'http://lab:1', token: 't', use: true}, env)
    const {contexts, current} = await loadSettings({env, ...places})
    expect({contexts, current}).toMatchObject({contexts: {lab: {server: 'http://lab:1'}}, current: 'lab'})

    await deleteContext(contexts.lab as NonNullable<typeof contexts.lab>, env)

    expect(await loadSettings({env, ...places})).toMatchObject({contexts: {}, current: undefined})
    expect(await readFile(join(env.GPUCTL_CONFIG_DIR as string, 'credentials.json'), 'utf8')).toBe('{}\n')
  })
})
