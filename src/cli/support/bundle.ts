import {arch, cpus, platform, release, totalmem} from 'node:os'
import type {Client} from '../../client/client.ts'
import type {Finding} from '../../contract/finding.ts'
import {readIfThere} from '../private-file.ts'
import {configPath} from '../settings.ts'
import type {BundleFile} from './archive.ts'
import {maskText, maskValue} from './mask.ts'

export interface BundleParts {
  client: Client | undefined
  env: NodeJS.ProcessEnv
  version: string
  findings: readonly Finding[]
  /** Last lines of the log of a server of this machine; '' where there is none. */
  serverLog: string
  /** Secrets that this program knows; they are masked wherever they stand. */
  known: readonly string[]
}

const most = {logLines: 2_000, events: 1_000, tasks: 200, claims: 500}
/** Names of variables that say how this program is set; values of secret ones are starred. */
const ownVariables = /^(GPUCTL_|DOCKER_HOST$|HTTPS?_PROXY$|NO_PROXY$|TERM$|LANG$|TZ$|CI$|NO_COLOR$|XDG_)/i

/** What a bug report needs, without secrets. What cannot be had says why in its place. */
export async function collectBundle({
  client,
  env,
  version,
  findings,
  serverLog,
  known,
}: BundleParts): Promise<BundleFile[]> {
  const json = (path: string, value: unknown): BundleFile => ({
    path,
    text: `${JSON.stringify(maskValue(value, known), undefined, 2)}\n`,
  })
  const asked = async (path: string, ask: (client: Client) => Promise<unknown>): Promise<BundleFile> => {
    if (!client) return json(path, {missing: 'there is no server to ask'})
    return json(path, await ask(client).catch((error: Error) => ({missing: error.message})))
  }
  const config = (await readIfThere(configPath(env)).catch((error: Error) => `# ${error.message}\n`)) ?? ''
  const variables = Object.fromEntries(
    Object.entries(env)
      .filter(([name]) => ownVariables.test(name))
      .map(([name, value = '']) => [name, /_proxy$/i.test(name) ? value.replace(/^(\w+:\/\/)?.*@/, '$1****@') : value]),
  )
  const lines = serverLog.trimEnd().split('\n').slice(-most.logLines)
  return [
    json('versions.json', {
      gpuctl: version,
      node: process.version,
      system: `${platform()} ${release()} ${arch()}`,
      processors: cpus().length,
      memoryMiB: Math.round(totalmem() / 2 ** 20),
    }),
    json('doctor.json', findings),
    {path: 'config.yml', text: maskText(config, known)},
    json('environment.json', variables),
    await asked('server-version.json', client => client.call('server.version', {})),
    await asked('status.json', client => client.call('server.status', {})),
    await asked('nodes.json', client => client.call('nodes.list', {})),
    await asked('claims.json', client => client.call('claims.list', {all: true, limit: most.claims})),
    await asked('instances.json', client => client.call('instances.list', {all: true, limit: most.claims})),
    await asked('tasks.json', client => client.call('tasks.list', {limit: most.tasks})),
    await asked('events.json', client => client.call('events.list', {limit: most.events})),
    {path: 'server.log', text: lines.length > 1 || lines[0] ? `${maskText(lines.join('\n'), known)}\n` : ''},
  ]
}
