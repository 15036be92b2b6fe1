import {join} from 'node:path'
import type {Pin} from '../client/tls.ts'
import {usageError} from './failure.ts'
import {wordsOf} from './file-words.ts'
import {configDirectory} from './places.ts'
import {parseSettings, type Tree} from './plain-yaml.ts'
import {preferenceNamed, preferences} from './preferences.ts'
import {readIfThere} from './private-file.ts'

/** A server that the CLI knows by a name. */
export interface Context {
  name: string
  server: string
  /** Path of the PEM file of the only authority trusted for it. */
  caCert?: string
  user?: string
  /** Of an https server whose certificate no known authority vouches for. */
  pin?: Pin
}

export interface Settings {
  current?: string
  contexts: Record<string, Context>
  /** Preferences (preferences.ts) and the file that each comes from. */
  defaults: Record<string, string>
  origins: Record<string, string>
  /** From `./.gpuctl.yml`. */
  project: {server?: string; context?: string}
}

export function configPath(env: NodeJS.ProcessEnv): string {
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
  const paths = [join(system, 'config.yml'), configPath(env), join(folder, '.gpuctl.yml')] as const
  const [wide, user, project] = await Promise.all([readTree(paths[0]), readTree(paths[1]), readTree(paths[2])])
  if (project.token !== undefined) {
    throw usageError(
      '.gpuctl.yml holds a token.',
      'Take it out: that file is shared. Use GPUCTL_TOKEN, or `gpuctl login`.',
    )
  }
  const forbidden = Object.keys(words(project.defaults)).find(name => preferences[name]?.inProject !== true)
  if (forbidden !== undefined) {
    const allowed = Object.keys(preferences).filter(name => preferences[name]?.inProject)
    throw usageError(`.gpuctl.yml sets ${forbidden}.`, `That file is shared: it may only set ${allowed.join(' and ')}.`)
  }
  const layers = [words(wide.defaults), words(user.defaults), words(project.defaults)]
  return {
    current: text(user.current) ?? text(wide.current),
    contexts: {...contextsOf(wide), ...contextsOf(user)},
    defaults: Object.assign({}, ...layers) as Record<string, string>,
    origins: Object.fromEntries(
      layers.flatMap((layer, at) => Object.keys(layer).map(name => [name, paths[at] as string])),
    ),
    project: {server: text(project.server), context: text(project.context)},
  }
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

/** A settings file; usage error when it cannot be understood. */
export async function readTree(path: string): Promise<Tree> {
  const content = await readIfThere(path).catch(error => {
    throw usageError(
      `${path} cannot be read: ${wordsOf(error)}.`,
      'Give it back to yourself, or set GPUCTL_CONFIG_DIR.',
    )
  })
  return parseTree(path, content)
}

export async function parseTree(path: string, content: string | undefined): Promise<Tree> {
  if (content === undefined) return {}
  try {
    return await parseSettings(content)
  } catch (error) {
    throw usageError(`${path} cannot be read: ${(error as Error).message.split('\n')[0]}`, 'Correct the file.')
  }
}

/** Usage error that names what is wrong in a settings file of the user. */
export function checkSettings(tree: Tree): void {
  contextsOf(tree)
  for (const [name, value] of Object.entries(words(tree.defaults))) preferenceNamed(name).check(value)
}

function contextsOf({contexts}: Tree): Record<string, Context> {
  if (typeof contexts !== 'object') return {}
  const entries = Object.entries(contexts).flatMap(([name, one]): [string, Context][] => {
    if (typeof one !== 'object' || typeof one.server !== 'string') return []
    const {caCert, user} = one
    return [[name, {name, server: readServerUrl(one.server), caCert: text(caCert), user: text(user), pin: pinOf(one)}]]
  })
  return Object.fromEntries(entries)
}

/** A context as the file holds it. */
export function writeContext({server, caCert, user, pin}: Omit<Context, 'name'>): Tree {
  return {server, ...(caCert ? {caCert} : {}), ...(user ? {user} : {}), ...pin}
}

function pinOf({fingerprint, certificate}: Tree): Pin | undefined {
  const [pinned, pem] = [text(fingerprint), text(certificate)]
  return pinned && pem ? {fingerprint: pinned, certificate: pem} : undefined
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
