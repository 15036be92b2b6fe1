import type {Client} from '../../client/client.ts'
import type {Diagnosis} from '../../contract/finding.ts'
import {configDirectory} from '../places.ts'
import {checkFiles, checkKeyring, checkLogin, checkServer, checkSsh, ok} from './client-checks.ts'

export interface Patient {
  /** Undefined where the settings cannot be read: why stands in `trouble`. */
  client: Client | undefined
  trouble?: Error & {hint?: string}
  version: string
  env: NodeJS.ProcessEnv
  /** Where the server's address comes from. */
  origin: string
}

/** All that `doctor` looks at, in the order in which one thing needs the other. */
export async function examineClient({client, trouble, version, env, origin}: Patient): Promise<Diagnosis[]> {
  const files = await checkFiles(configDirectory(env))
  const keyring = env.GPUCTL_KEYRING === 'file' || env.GPUCTL_KEYRING === 'none' ? [] : [await checkKeyring()]
  if (!client) {
    const config: Diagnosis = {
      check: 'config',
      level: 'error',
      message: trouble?.message ?? '',
      fix: trouble?.hint ?? '',
    }
    return [config, ...files, ...keyring]
  }
  const config = ok('config', `The server comes from ${origin}.`)
  const unreadable = files.some(({level}) => level === 'error')
  if (unreadable) return [config, ...files, ...keyring]
  const {reached, diagnoses} = await checkServer(client, version)
  const rest = reached ? [await checkLogin(client), ...(await checkSsh(client, env))] : []
  return [config, ...files, ...keyring, ...diagnoses, ...rest]
}
