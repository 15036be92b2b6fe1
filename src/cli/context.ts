import type {Pin} from '../client/tls.ts'
import {Credentials} from './credentials.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {configDirectory} from './places.ts'
import {type Tree, writePlainYaml} from './plain-yaml.ts'
import {changePrivately} from './private-file.ts'
import {type Context, configPath, parseTree, readServerUrl, type Settings, writeContext} from './settings.ts'

export interface Choice {
  server: string
  caCert?: string
  /** Kept since the login; not where another authority is named for this call. */
  pin?: Pin
  /** Undefined when the address was given by itself. */
  context?: Context
  /** What decided. */
  origin: '--server' | '--context' | 'GPUCTL_SERVER' | 'GPUCTL_CONTEXT' | '.gpuctl.yml' | 'config' | 'default'
}

const defaultServer = 'http://127.0.0.1:8888'

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
    return {server, caCert: caCert ?? context?.caCert, pin: caCert ? undefined : context?.pin, context, origin}
  }
  const context = contexts[value]
  if (!context) throw unknownContext(value, settings)
  const pin = caCert ? undefined : context.pin
  return {server: context.server, caCert: caCert ?? context.caCert, pin, context, origin}
}

export function unknownContext(name: string, {contexts}: Settings): Failure {
  const known = Object.keys(contexts)
  const hint = known.length > 0 ? `There are ${known.join(', ')}.` : 'Make one with `gpuctl login SERVER`.'
  return new Failure('not_found', `There is no context ${name}.`, {hint, exitCode: exitCode.notFound})
}

/** Makes or changes a context of the user, and where given keeps its token. */
export async function saveContext(
  name: string,
  change: {server: string; caCert?: string; user?: string; pin?: Pin; token?: string; use?: boolean},
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  checkContextName(name)
  const server = readServerUrl(change.server)
  await changeConfig(env, tree => {
    const contexts = tree.contexts as Tree
    contexts[name] = writeContext({...change, server})
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

/** Sets a preference in the user's file, or takes it out. */
export async function setPreference(
  name: string,
  value: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  await changeConfig(env, tree => {
    const defaults = typeof tree.defaults === 'object' ? tree.defaults : {}
    if (value === undefined) delete defaults[name]
    else defaults[name] = value
    tree.defaults = defaults
    if (Object.keys(defaults).length === 0) delete tree.defaults
  })
}

/** The context under another name, with its token; current if it was. */
export async function renameContext(
  context: Context,
  name: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  checkContextName(name)
  const credentials = new Credentials({env, directory: configDirectory(env)})
  await credentials.rename(context.server, context.name, name)
  await changeConfig(env, tree => {
    const contexts = tree.contexts as Tree
    tree.contexts = Object.fromEntries(
      Object.entries(contexts).map(([key, value]) => [key === context.name ? name : key, value]),
    )
    if (tree.current === context.name) tree.current = name
  })
}

function checkContextName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name)) return
  throw usageError(`${name} cannot name a context.`, 'Use letters, digits, dot, dash and underscore.')
}

async function changeConfig(env: NodeJS.ProcessEnv, change: (tree: Tree) => void): Promise<void> {
  const path = configPath(env)
  await changePrivately(path, async before => {
    const tree = await parseTree(path, before)
    if (typeof tree.contexts !== 'object') tree.contexts = {}
    change(tree)
    const after = writePlainYaml(tree)
    return after === before ? undefined : after
  })
}
