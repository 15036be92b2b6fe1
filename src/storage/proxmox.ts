import {readFile} from 'node:fs/promises'
import {hostname} from 'node:os'
import {join} from 'node:path'
import type {
  FoundCluster,
  FoundTemplate,
  RegisteredStorage,
  StorageRegistration,
  TemplateCreation,
} from '../contract/storage-protocol.ts'
import {type StorageCommand, StorageError} from './driver.ts'
import {
  contentList,
  exportPath,
  fileName,
  machineName,
  machineNumber,
  markText,
  nodeList,
  poolName,
  serverAddress,
  storageName,
} from './grammar.ts'
import type {StorageRunner} from './run.ts'

/** As the infra document's system has them. */
const bridge = 'vmbr0'
const templateStorage = 'local-lvm'
const templateMemoryMiB = '1024'
/** Copying a disk image takes as long as it takes, within reason. */
export const copyMs = 14 * 60_000
const gone = /does not exist|no such|unable to find configuration/i

/** What is typed on a Proxmox VE host. Pure; the options are those of the manual pages of qm, pvesm and pvecm. */
export const proxmoxPlans = {
  register({storage, type, pool = '', server = '', exportPath: path = '', content, nodes}: StorageRegistration) {
    const source = {
      zfspool: () => ['--pool', poolName(pool)],
      lvm: () => ['--vgname', poolName(pool)],
      nfs: () => ['--server', serverAddress(server), '--export', exportPath(path)],
    }
    if (!Object.hasOwn(source, type)) throw new StorageError('invalid', `${String(type)} is no kind of storage.`)
    const rest = ['--content', contentList(content), '--nodes', nodeList(nodes)]
    return [{file: 'pvesm', args: ['add', type, storageName(storage), ...source[type](), ...rest]}]
  },

  /** On which machines a known storage is. */
  place: ({storage, nodes}: Pick<StorageRegistration, 'storage' | 'nodes'>): StorageCommand[] => [
    {file: 'pvesm', args: ['set', storageName(storage), '--nodes', nodeList(nodes)]},
  ],

  /** Of an export it unmounts, too. */
  unregister: ({storage}: {storage: string}): StorageCommand[] => [
    {file: 'pvesm', args: ['remove', storageName(storage)], fine: gone},
  ],

  freeImage: ({storage, name}: {storage: string; name: string}): StorageCommand[] => [
    {file: 'pvesm', args: ['free', `${storageName(storage)}:iso/${fileName(name)}`]},
  ],

  /** The description tells whose machine it is, so that a repeat takes its own one away and no other. */
  template({id, name, image, mark}: TemplateCreation, folder: string): StorageCommand[] {
    const number = machineNumber(id)
    const disk = `${templateStorage}:vm-${number}-disk-0`
    const network = `virtio,bridge=${bridge}`
    const made = ['--name', machineName(name), '--memory', templateMemoryMiB, '--net0', network]
    return [
      {file: 'qm', args: ['create', number, ...made, '--description', describe(mark)]},
      {file: 'qm', args: ['importdisk', number, join(folder, fileName(image)), templateStorage], longestMs: copyMs},
      {
        file: 'qm',
        args: ['set', number, '--scsi0', disk, '--boot', 'order=scsi0', '--ide2', `${templateStorage}:cloudinit`],
      },
      {file: 'qm', args: ['template', number]},
    ]
  },

  dropTemplate: ({id}: {id: string}): StorageCommand[] => [
    {file: 'qm', args: ['destroy', machineNumber(id)], fine: gone},
  ],

  /** Run on the machine that is to become a member. */
  join: ({master}: {master: string}): StorageCommand[] => [
    {file: 'pvecm', args: ['add', serverAddress(master), '--use_ssh', '1']},
  ],
}

interface ProxmoxParts {
  runner: StorageRunner
  /** Where the cluster keeps its files: /etc/pve. */
  configFolder?: string
}

/** Proxmox VE on this machine: there where its programs are. */
export class Proxmox {
  readonly #runner: StorageRunner
  readonly #configFolder: string

  constructor({runner, configFolder = '/etc/pve'}: ProxmoxParts) {
    this.#runner = runner
    this.#configFolder = configFolder
  }

  async isPresent(): Promise<boolean> {
    try {
      await this.#runner.read('which', ['pvesm', 'qm', 'pvecm'])
      return true
    } catch (error) {
      if (error instanceof StorageError) return false
      throw error
    }
  }

  async look(): Promise<FoundCluster> {
    const [node = ''] = hostname().split('.')
    if (!(await this.isPresent())) return {manager: null, cluster: '', node, members: [], storages: []}
    const corosync = await this.#file('corosync.conf')
    return {
      manager: 'proxmox',
      cluster: /^\s*cluster_name:\s*(\S+)/m.exec(corosync)?.[1] ?? '',
      node,
      members: [...corosync.matchAll(/^\s*(?:ring0_addr|name):\s*(\S+)/gm)].map(([, member = '']) => member),
      storages: readStorages(await this.#file('storage.cfg')),
    }
  }

  async run(commands: readonly StorageCommand[], options: {signal?: AbortSignal; lock?: string} = {}): Promise<void> {
    for (const command of commands) await this.#runner.run(command, options)
  }

  /** The machine of that number, template or not. */
  async machine(id: string): Promise<FoundTemplate | undefined> {
    const text = await this.#runner.read('qm', ['config', machineNumber(id)]).catch(error => {
      if (error instanceof StorageError && gone.test(error.message)) return ''
      throw error
    })
    if (text === '') return undefined
    const values = new Map([...text.matchAll(/^(\w+): (.*)$/gm)].map(([, name = '', value = '']) => [name, value]))
    // qm prints the description with its characters escaped as in an address.
    const description = decodeURIComponent(values.get('description') ?? '').trim()
    return {
      id,
      name: values.get('name') ?? '',
      mark: description.startsWith(marker) ? description.slice(marker.length) : '',
      isReady: values.get('template') === '1',
    }
  }

  #file(name: string): Promise<string> {
    return readFile(join(this.#configFolder, name), 'utf8').catch(() => '')
  }
}

const marker = 'gpuctl-task '

function describe(mark: string): string {
  return `${marker}${markText(mark)}`
}

/** `storage.cfg`: a line `type: name`, then indented `option value` lines. */
function readStorages(text: string): RegisteredStorage[] {
  const found: RegisteredStorage[] = []
  for (const block of text.split(/\n(?=\S)/)) {
    const [, type = '', storage = ''] = /^(\w+):\s*(\S+)\s*$/m.exec(block) ?? []
    if (storage === '') continue
    const option = (name: string) => new RegExp(`^\\s+${name}\\s+(\\S+)`, 'm').exec(block)?.[1] ?? ''
    const source = type === 'nfs' ? `${option('server')}:${option('export')}` : option('pool') || option('vgname')
    found.push({storage, type, source, nodes: option('nodes').split(',').filter(Boolean)})
  }
  return found
}
