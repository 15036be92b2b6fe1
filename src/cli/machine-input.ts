import {Flags} from '@oclif/core'
import type {NodeChange} from '../contract/schemas/machines.ts'
import {usageError} from './failure.ts'
import {readStdin} from './prompt.ts'
import {readSecretFile} from './secret-input.ts'
import {labelFlag, memoryFlag, readPairs} from './units.ts'

const pemFlag = Flags.custom<string>({helpValue: '<file>'})

/** What `node add` and `node update` say of a machine. */
export const machineFlags = {
  docker: Flags.string({description: 'its Docker Engine', helpValue: '<tcp://host:port>'}),
  tls: Flags.boolean({description: 'TLS with the engine; without it only on this machine itself', allowNo: true}),
  'tls-ca': pemFlag({description: 'PEM file of the authority of the engine'}),
  'tls-cert': pemFlag({description: 'PEM file of our certificate'}),
  'tls-key': pemFlag({description: 'PEM file of our key'}),
  'gpu-model': Flags.string({description: 'model of its GPUs, where nobody there reports them'}),
  'gpu-count': Flags.integer({description: 'how many', min: 0, max: 64}),
  'gpu-memory': memoryFlag({description: 'memory of one, as 24GiB'}),
  'hami-core': Flags.string({description: 'folder of HAMi-core there, which splits GPUs', helpValue: '<folder>'}),
  region: Flags.string({description: 'where it stands'}),
  'public-ip': Flags.string({description: 'its address for people', helpValue: '<address>'}),
  'private-ip': Flags.string({description: 'its address in its own network', helpValue: '<address>'}),
  cpu: Flags.string({description: 'its processors, as people read it'}),
  memory: Flags.string({description: 'its main memory, as 256GB'}),
  'system-disk': Flags.string({description: 'its system disk, as 500GB'}),
  'data-disk': Flags.string({description: 'its data disk, as 2TB'}),
  'ssh-port': Flags.integer({description: 'port of its SSH server', min: 1, max: 65_535}),
  'ssh-user': Flags.string({description: 'SSH user of its operator'}),
  'ssh-password-stdin': Flags.boolean({description: 'read the SSH password from standard input'}),
  listed: Flags.boolean({description: 'offered for work', allowNo: true}),
  remark: Flags.string({description: 'a note for administrators'}),
  label: labelFlag,
}

export interface MachineFlags {
  docker?: string
  tls?: boolean
  'tls-ca'?: string
  'tls-cert'?: string
  'tls-key'?: string
  'gpu-model'?: string
  'gpu-count'?: number
  'gpu-memory'?: number
  'hami-core'?: string
  region?: string
  'public-ip'?: string
  'private-ip'?: string
  cpu?: string
  memory?: string
  'system-disk'?: string
  'data-disk'?: string
  'ssh-port'?: number
  'ssh-user'?: string
  'ssh-password-stdin'?: boolean
  listed?: boolean
  remark?: string
  label?: string[]
}

/** What the flags say; what they leave out stays as it is. */
export async function readMachine(flags: MachineFlags): Promise<Omit<NodeChange, 'id' | 'name'>> {
  const {docker, tls, region, cpu, memory, listed, remark} = flags
  return {
    ...{docker, useTls: tls, region, cpu, memory, listed, remark},
    ca: await readPem(flags['tls-ca']),
    cert: await readPem(flags['tls-cert']),
    key: await readPem(flags['tls-key']),
    gpuModel: flags['gpu-model'],
    gpuCount: flags['gpu-count'],
    gpuMemoryMiB: flags['gpu-memory'],
    hamiCore: flags['hami-core'],
    publicIp: flags['public-ip'],
    privateIp: flags['private-ip'],
    systemDisk: flags['system-disk'],
    dataDisk: flags['data-disk'],
    sshPort: flags['ssh-port'],
    sshUser: flags['ssh-user'],
    sshPassword: flags['ssh-password-stdin'] ? await readStdin() : undefined,
    labels: readPairs(flags.label, '--label'),
  }
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  const text = await readSecretFile(path)
  if (text !== '' && !text.includes('-----BEGIN ')) throw usageError(`${path} is not a PEM file.`)
  return text
}
