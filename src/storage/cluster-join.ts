import {createHmac, timingSafeEqual} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {homedir} from 'node:os'
import {join} from 'node:path'
import type {Client, ClientChannel, ConnectConfig} from 'ssh2'
import type {ClusterJoin} from '../contract/storage-protocol.ts'
import {StorageError} from './driver.ts'
import {serverAddress} from './grammar.ts'
import {proxmoxPlans} from './proxmox.ts'

const connectMs = 20_000
/** Joining copies the cluster's state and restarts its services. */
const joinMs = 5 * 60_000
const mostOutputBytes = 64 * 1024
/** It asks for the password of a member at most so often: once to copy its key, once more to use it. */
const mostAnswers = 2

export interface JoinSettings {
  /** Read for GPUCTL_CLUSTER_PASSWORD and GPUCTL_CLUSTER_MASTER_PASSWORD. */
  env?: NodeJS.ProcessEnv
  /** Folder of known_hosts, id_ed25519 and id_rsa: ~/.ssh. */
  sshFolder?: string
  port?: number
}

/**
 * Has a machine join the cluster: over SSH as its root, whose host key must stand in known_hosts already. Passwords come
 * from this agent's environment or are not needed, where keys are laid out; they are in no argument, body or log.
 */
export async function joinCluster(
  {address, master}: ClusterJoin,
  {env = process.env, sshFolder = join(homedir(), '.ssh'), port = 22}: JoinSettings = {},
  signal?: AbortSignal,
): Promise<void> {
  const [plan] = proxmoxPlans.join({master})
  const host = serverAddress(address)
  const known = knownKeys(await readFile(join(sshFolder, 'known_hosts'), 'utf8').catch(() => ''), host, port)
  if (known.length === 0) {
    const fix = `Check its key on the machine itself, then write it there: ssh-keyscan ${host}.`
    throw new StorageError('failed', `No key of ${host} stands in ${join(sshFolder, 'known_hosts')}. ${fix}`)
  }
  const password = env.GPUCTL_CLUSTER_PASSWORD
  const client = await connect({
    ...{host, port, username: 'root', password, readyTimeout: connectMs},
    privateKey: await privateKey(sshFolder),
    agent: env.SSH_AUTH_SOCK,
    hostVerifier: (key: Buffer) => known.some(one => one.length === key.length && timingSafeEqual(one, key)),
  })
  try {
    const command = [plan?.file, ...(plan?.args ?? [])].join(' ') // two words of ours and an IPv4 address
    await run(client, command, env.GPUCTL_CLUSTER_MASTER_PASSWORD ?? password, signal)
  } finally {
    client.end()
  }
}

async function connect(config: ConnectConfig): Promise<Client> {
  const {default: ssh2} = await import('ssh2')
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client()
    client.once('ready', () => resolve(client))
    client.on('error', error => reject(new StorageError('failed', `SSH to ${config.host}: ${error.message}`)))
    client.connect(config)
  })
}

async function run(client: Client, command: string, password: string | undefined, signal?: AbortSignal) {
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client.exec(command, {pty: true}, (error, opened) => (error ? reject(error) : resolve(opened)))
  })
  const said = converse(channel, password)
  const code = await new Promise<number | null>((resolve, reject) => {
    const end = (why: string) => {
      channel.close()
      reject(new StorageError('failed', `${command}: ${why}`))
    }
    const timer = setTimeout(() => end(`it did not end within ${joinMs / 60_000} minutes`), joinMs)
    const stop = () => end('it was broken off')
    signal?.addEventListener('abort', stop, {once: true})
    client.on('error', error => end(error.message))
    said.onStuck = end
    channel.once('exit', (status: number | null) => resolve(status))
    channel.once('close', () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
      resolve(null)
    })
  })
  if (code !== 0) throw new StorageError('failed', `${command} refused (${code ?? 'cut'}): ${said.words()}`)
}

/** Answers questions for the password; a question about a host key is nobody's to answer but the operator's. */
function converse(channel: ClientChannel, password: string | undefined) {
  let text = ''
  let answers = 0
  const talk = {onStuck: (_why: string) => {}, words: () => lastWords(text, password)}
  channel.on('data', (piece: Buffer) => {
    text = (text + piece.toString('utf8')).slice(-mostOutputBytes)
    if (/\(yes\/no[^)]*\)\??\s*$/.test(text)) {
      return talk.onStuck('the machine does not know the key of the member: write it into its own known_hosts first')
    }
    if (!/password[^\n]*:\s*$/i.test(text)) return
    text += '\n'
    if (password === undefined) {
      return talk.onStuck('it asks for a password: set GPUCTL_CLUSTER_MASTER_PASSWORD where the agent runs')
    }
    if (++answers > mostAnswers) return talk.onStuck('the password of the member was not taken')
    channel.write(`${password}\n`)
  })
  channel.stderr.on('data', (piece: Buffer) => {
    text = (text + piece.toString('utf8')).slice(-mostOutputBytes)
  })
  return talk
}

function lastWords(text: string, password: string | undefined): string {
  const plain = password ? text.replaceAll(password, '***') : text
  return plain.trim().split(/\r?\n/).slice(-4).join(' ').slice(-500) || 'without a word'
}

/** Keys of a host in the format of sshd(8), hashed names included. */
function knownKeys(text: string, host: string, port: number): Buffer[] {
  const name = port === 22 ? host : `[${host}]:${port}`
  return text.split('\n').flatMap(line => {
    const [names = '', , key = ''] = line.trim().split(/\s+/)
    if (names.startsWith('#') || names.startsWith('@') || key === '') return []
    return names.split(',').some(one => isName(one, name)) ? [Buffer.from(key, 'base64')] : []
  })
}

function isName(pattern: string, name: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|(.+)$/.exec(pattern) ?? []
  if (salt === undefined || hash === undefined) return pattern === name
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}

async function privateKey(folder: string): Promise<Buffer | undefined> {
  for (const name of ['id_ed25519', 'id_rsa']) {
    const key = await readFile(join(folder, name)).catch(() => undefined)
    if (key) return key
  }
  return undefined
}
