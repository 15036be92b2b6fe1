import {homedir} from 'node:os'
import {join} from 'node:path'
import {Credentials} from './credentials.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {parseSettings, type Tree, writePlainYaml} from './plain-yaml.ts'
import {readIfThere, writePrivately} from './private-file.ts'

/** A server that the CLI knows by a name. */
export interface Context {
  name: string
  server: string
  /** Path of the PEM file of the only authority trusted for it. */
  caCert?: string
  user?: string
}

export interface Settings {
  current?: string
  contexts: Record<string, Context>
  /** Values of global flags that need not be typed: `output`, `timeout`. */
  defaults: Record<string, string>
  /** From `./.gpuctl.yml`. */
  project: {server?: string; context?: string}
}

export interface Choice {
  server: string
  caCert?: string
  /** Undefined when the address was given by itself. */
  context?: Context
  /** What decided. */
  origin: '--server' | '--context' | 'GPUCTL_SERVER' | 'GPUCTL_CONTEXT' | '.gpuctl.yml' | 'config' | 'default'
}

const defaultServer = 'http://127.0.0.1:8888'

export function configDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env.GPUCTL_CONFIG_DIR || join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'gpuctl')
}

function configPath(env: NodeJS.ProcessEnv): string {
  return join(configDirectory(env), 'config.yml')
}

export interface SettingsPlaces {
  env?: NodeJS.ProcessEnv
  folder?: string
  system?: string
}

/** All settings files, the nearer before the farther: project, user, system. */
export async function loadSettings(places: SettingsPlaces = {}): Promise<Settings> {
  const {env = process.env, folder = process.cwd(), system = '/etc/gpuctl'} = places
  const [project, user, wide] = await Promise.all([
    readTree(join(folder, '.gpuctl.yml')),
    readTree(configPath(env)),
    readTree(join(system, 'config.yml')),
  ])
  if (project.token !== undefined) {
    throw usageError(
      '.gpuctl.yml holds a token.',
      'Take it out: that file is shared. Use GPUCTL_TOKEN, or `gpuctl login`.',
    )
  }
  return {
    current: text(user.current) ?? text(wide.current),
    contexts: {...contextsOf(wide), ...contextsOf(user)},
    defaults: {...words(wide.defaults), ...words(user.defaults), ...words(project.defaults)},
    project: {server: text(project.server), context: text(project.context)},
  }
}

/** Flag, then environment, then `./.gpuctl.yml`, then the current context; the server before the context in each. */
export function chooseServer(
  settings: Settings,
  flags: {server?: string; context?: string; 'ca-cert'?: string},
  env: NodeJS.ProcessEnv = process.env,
): Choice {
  const {project, contexts, current} = settings
  const steps: [Choice['origin'], 'server' | 'context', string | undefined][] = [
    ['--server', 'server', flags.server],
    ['--context', 'context', flags.context],
    ['GPUCTL_SERVER', 'server', env.GPUCTL_SERVER],
    ['GPUCTL_CONTEXT', 'context', env.GPUCTL_CONTEXT],
    ['.gpuctl.yml', 'server', project.server],
    ['.gpuctl.yml', 'context', project.context],
    ['config', 'context', current],
    ['default', 'server', defaultServer],
  ]
  const [origin, kind, value = ''] = steps.find(
    ([, , given]) => given !== undefined && given !== '',
  ) as (typeof steps)[0]
  const caCert = flags['ca-cert'] || env.GPUCTL_CA_CERT || undefined
  if (kind === 'server') {
    const server = readServerUrl(value)
    const context = Object.values(contexts).find(one => one.server === server)
    return {server, caCert: caCert ?? context?.caCert, context, origin}
  }
  const context = contexts[value]
  if (!context) throw unknownContext(value, settings)
  return {server: context.server, caCert: caCert ?? context.caCert, context, origin}
}

export function unknownContext(name: string, {contexts}: Settings): Failure {
  const known = Object.keys(contexts)
  const hint = known.length > 0 ? `There are ${known.join(', ')}.` : 'Make one with `gpuctl login SERVER`.'
  return new Failure('not_found', `There is no context ${name}.`, {hint, exitCode: exitCode.notFound})
}

/** `host`, `host:port` or a URL, as `http(s)://host:port` without a path. Usage error for anything else. */
export function readServerUrl(given: string): string {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `http://${given}`
  let url: URL
  try {
    url = new URL(withScheme)
  } catch {
    throw usageError(`${given} is not the address of a server.`, 'Write it as http://HOST:PORT.')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw usageError(`${given}: a server is reached over http:// or https://.`)
  }
  if (url.username || url.password) {
    throw usageError('An address holds no user name and no password.', 'Use `gpuctl login`, or GPUCTL_TOKEN.')
  }
  return url.origin
}

/** Makes or changes a context of the user, and where given keeps its token. */
export async function saveContext(
  name: string,
  change: {server: string; caCert?: string; user?: string; token?: string; use?: boolean},
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name)) {
    throw usageError(`${name} cannot name a context.`, 'Use letters, digits, dot, dash and underscore.')
  }
  const server = readServerUrl(change.server)
  await changeConfig(env, tree => {
    const contexts = tree.contexts as Tree
    contexts[name] = {
      server,
      ...(change.caCert ? {caCert: change.caCert} : {}),
      ...(change.user ? {user: change.user} : {}),
    }
    if (change.use || tree.current === undefined) tree.current = name
  })
  if (change.token) await new Credentials({env, directory: configDirectory(env)}).save(server, name, change.token)
}

export async function useContext(name: string, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  await changeConfig(env, tree => {
    tree.current = name
  })
}

export async function deleteContext(context: Context, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  await changeConfig(env, tree => {
    delete (tree.contexts as Tree)[context.name]
    if (tree.current === context.name) delete tree.current
  })
  await new Credentials({env, directory: configDirectory(env)}).forget(context.server, context.name)
}

async function changeConfig(env: NodeJS.ProcessEnv, change: (tree: Tree) => void): Promise<void> {
  const tree = await readTree(configPath(env))
  if (typeof tree.contexts !== 'object') tree.contexts = {}
  change(tree)
  await writePrivately(configPath(env), writePlainYaml(tree))
}

async function readTree(path: string): Promise<Tree> {
  const content = await readIfThere(path)
  if (content === undefined) return {}
  try {
    return await parseSettings(content)
  } catch (error) {
    throw usageError(`${path} cannot be read: ${(error as Error).message.split('\n')[0]}`, 'Correct the file.')
  }
}

function contextsOf({contexts}: Tree): Record<string, Context> {
  if (typeof contexts !== 'object') return {}
  const entries = Object.entries(contexts).flatMap(([name, one]): [string, Context][] => {
    if (typeof one !== 'object' || typeof one.server !== 'string') return []
    return [[name, {name, server: readServerUrl(one.server), caCert: text(one.caCert), user: text(one.user)}]]
  })
  return Object.fromEntries(entries)
}

function text(value: string | Tree | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function words(value: string | Tree | undefined): Record<string, string> {
  if (typeof value !== 'object') return {}
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
