import {connect} from 'node:net'
import {join} from 'node:path'
import type {Client} from '../../client/client.ts'
import {exitCode} from '../exit-codes.ts'
import {Failure} from '../failure.ts'
import {writePrivately} from '../private-file.ts'
import {ensureKey} from './key.ts'

const probeMs = 1_500

/** All that a client of SSH needs to come into an instance. */
export interface SshWay {
  host: string
  port: number
  /** `USER+INSTANCE` for the jump host. */
  login: string
  instance: {id: string; name: string}
  keyPath: string
  /** Has the host key and nothing else, under `hostAlias`. */
  knownHostsPath: string
  hostAlias: string
  /** Type and base64. */
  hostKey: string
}

/** The folder of our own files for one server. */
export function sshFolder(configDirectory: string, serverId: string): string {
  return join(configDirectory, 'ssh', serverId)
}

/** Finds the jump host, pins its key, and has a key for it. Throws Failure when the server has none. */
export async function findWay(client: Client, configDirectory: string, instance: string): Promise<SshWay> {
  const [{ssh, serverId}, {username}, {id, name, status}] = await Promise.all([
    client.call('server.status', {}),
    client.call('auth.whoami', {}),
    client.call('instances.get', {id: instance}),
  ])
  if (!ssh) {
    throw new Failure('ssh_off', 'This server has no SSH jump host.', {
      hint: `Use \`gpuctl instance terminal ${name}\`, or start the server with --ssh-port.`,
      exitCode: exitCode.unreachable,
    })
  }
  if (status !== 'running') {
    throw new Failure('instance_not_running', `Instance ${name} is ${status}, not running.`, {
      exitCode: exitCode.conflict,
    })
  }
  const folder = sshFolder(configDirectory, serverId)
  const hostAlias = `gpuctl-${serverId}`
  const knownHostsPath = join(folder, 'known_hosts')
  await writePrivately(knownHostsPath, `${hostAlias} ${ssh.publicKey}\n`)
  return {
    host: reachableHost(ssh.host, new URL((await client.target()).server).hostname),
    port: ssh.port,
    login: `${username}+${id}`,
    instance: {id, name},
    keyPath: await ensureKey(client, folder, username),
    knownHostsPath,
    hostAlias,
    hostKey: ssh.publicKey,
  }
}

/** An address that stands for all, or for that machine itself, is that of the server as we know it. */
function reachableHost(listening: string, server: string): string {
  const isGeneral = ['0.0.0.0', '::', '127.0.0.1', '::1', 'localhost'].includes(listening)
  return isGeneral ? server.replace(/^\[|\]$/g, '') : listening
}

/** Whether something answers there, soon enough to be worth the direct way. */
export function answers({host, port}: Pick<SshWay, 'host' | 'port'>): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({host, port})
    const settle = (is: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(is)
    }
    const timer = setTimeout(() => settle(false), probeMs)
    // Its greeting, not only its port: what listens there may be something else.
    socket.once('data', greeting => settle(greeting.toString('latin1').startsWith('SSH-2.0-')))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
  })
}
