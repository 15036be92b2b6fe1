import {generateKeyPairSync} from 'node:crypto'
import {once} from 'node:events'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import type {AddressInfo} from 'node:net'
import {join} from 'node:path'
import {setTimeout as pause} from 'node:timers/promises'
import ssh2 from 'ssh2'
import type {TaskTrial} from './trial.ts'

const address = '127.0.0.2'
const master = '127.0.0.1'
const password = 'of-the-lab'
const joinMs = 300

/** For the lab's agent: how it reaches the machine below. */
export function memberAccess(folder: string) {
  const port = Number(readFileSync(join(folder, 'ssh', 'port'), 'utf8'))
  return {port, sshFolder: join(folder, 'ssh'), env: {GPUCTL_CLUSTER_PASSWORD: password}}
}

/** A machine with SSH that joins the lab's cluster when it is told to, unless it is cut off before it is done. */
export async function labMember(folder: string): Promise<{close(): void}> {
  const config = join(folder, 'pve', 'corosync.conf')
  const {privateKey} = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: {type: 'pkcs1', format: 'pem'},
    publicKeyEncoding: {type: 'pkcs1', format: 'pem'},
  })
  const server = new ssh2.Server({hostKeys: [privateKey]}, client => {
    client.on('error', () => {})
    client.on('authentication', context => {
      if (context.method === 'password' && context.password === password) context.accept()
      else context.reject(['password'])
    })
    client.on('session', accept => {
      const session = accept()
      session.on('pty', ok => ok?.())
      session.on('exec', async (ok, refuse, {command}) => {
        if (command !== `pvecm add ${master} --use_ssh 1`) return refuse()
        const channel = ok()
        let isCut = false
        channel.once('close', () => {
          isCut = true
        })
        await pause(joinMs)
        if (isCut) return
        writeFileSync(config, clusterOf([master, address]))
        channel.exit(0)
        channel.end()
      })
    })
  })
  server.listen(0, address)
  await once(server, 'listening')
  const {port} = server.address() as AddressInfo
  const key = ssh2.utils.parseKey(privateKey)
  if (key instanceof Error) throw key
  mkdirSync(join(folder, 'ssh'), {recursive: true})
  const line = `[${address}]:${port} ssh-rsa ${key.getPublicSSH().toString('base64')}\n`
  writeFileSync(join(folder, 'ssh', 'known_hosts'), line)
  writeFileSync(join(folder, 'ssh', 'port'), String(port))
  writeFileSync(config, clusterOf([master]))
  return {close: () => server.close()}
}

/** Machines that join the cluster of the lab's node (wire.md 2.3). Of a lab alone. */
export function memberTrial(): TaskTrial {
  return {
    name: 'members',
    async round(lab) {
      const config = join(lab.folder ?? '', 'pve', 'corosync.conf')
      const name = lab.newName()
      const added = await lab.disturbed('POST', '/cluster-members', {name, address, master})
      const nodes = await lab.ok<{name: string}[]>('GET', '/nodes')
      const isKnown = nodes.some(node => node.name === name)
      const isMember = readFileSync(config, 'utf8').includes(address)
      const {status, error} = added
      const state = `${name} after node.add ${status} ${error?.message ?? ''}: known ${isKnown}, member ${isMember}`
      lab.check(isKnown === isMember, state)
      lab.check(isMember || status === 'failed', state)
      if (isKnown) await lab.ok('DELETE', `/nodes/${name}`)
      writeFileSync(config, clusterOf([master]))
    },
  }
}

function clusterOf(members: readonly string[]): string {
  return `totem {\n  cluster_name: lab\n}\n${members.map(one => `node {\n  ring0_addr: ${one}\n}\n`).join('')}`
}
