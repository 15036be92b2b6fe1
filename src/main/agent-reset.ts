import {existsSync} from 'node:fs'
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import {loadIdentity} from '../agent/identity.ts'
import {DirectoryLocked, lockDirectory} from '../platform/lock.ts'
import {agentDirectory} from './local-fleet.ts'
import {CannotStart} from './settings.ts'

/** What ties a machine to one server. Its own key, by which people know it again, and what runs on it stay. */
const files = ['identity.json', 'join-request.json', 'state.json', 'runtime.json']

export interface Membership {
  server: string
  name: string
}

/** To which server the machine belongs, if to one. */
export async function findMembership(): Promise<Membership | undefined> {
  const identity = await loadIdentity(join(agentDirectory(), files[0] ?? ''))
  return identity && {server: identity.server, name: identity.name}
}

/** Forgets to which server this machine belongs. Answers what was removed. Refuses while the agent runs. */
export async function resetAgent(): Promise<string[]> {
  const directory = agentDirectory()
  if (!existsSync(directory)) return []
  const lock = await lockDirectory(directory).catch(error => {
    if (!(error instanceof DirectoryLocked)) throw error
    throw new CannotStart('The agent of this machine runs.', 'End it first: `gpuctl agent stop`.', {cause: error})
  })
  try {
    const paths = files.map(name => join(directory, name)).filter(existsSync)
    for (const path of paths) await rm(path)
    return paths
  } finally {
    await lock.release()
  }
}
