import {networkInterfaces} from 'node:os'
import type {FoundShare} from '../contract/storage-protocol.ts'
import {StorageError} from './driver.ts'
import {exportPath, network, serverAddress} from './grammar.ts'
import type {StorageRunner} from './run.ts'

/** `portEnd`: of an address as RPC writes it, 2049. */
const nfs = {portEnd: '8.1', program: '100003', version: '4'}
const answerSeconds = '10'
const mountSeconds = '20'

/** Looks at an export of this host as a client does: what is in the table of exports may still be seen by nobody. */
export class NfsProbe {
  readonly #runner: StorageRunner
  readonly #addresses: () => string[]

  constructor({runner, addresses = ownAddresses}: {runner: StorageRunner; addresses?: () => string[]}) {
    this.#runner = runner
    this.#addresses = addresses
  }

  /** Throws StorageError unavailable where no server answers, failed where it gives nobody the export. */
  async see({exportPath: path, network: cidr}: FoundShare): Promise<void> {
    // Of this host's own addresses only one in the network is let in; without it the server's answer is all there is.
    const client = this.#addresses().find(address => network(`${address}/${cidr.split('/')[1]}`) === cidr)
    await this.#callServer(client ?? '127.0.0.1')
    if (client) await this.#mount(client, path, cidr)
  }

  async #callServer(address: string): Promise<void> {
    try {
      const at = `${serverAddress(address)}.${nfs.portEnd}`
      const call = ['rpcinfo', '-T', 'tcp', '-a', at, nfs.program, nfs.version]
      await this.#runner.read('timeout', ['-k', '1', answerSeconds, ...call])
    } catch (error) {
      throw new StorageError(
        'unavailable',
        `No NFS server answers on this node. Install nfs-kernel-server, or start it: systemctl start nfs-server. ${(error as Error).message}`,
        {cause: error},
      )
    }
  }

  /** In a mount namespace that ends with the program: nothing of it is left, whatever happens. */
  async #mount(address: string, path: string, cidr: string): Promise<void> {
    const options = 'vers=4,ro,soft,timeo=50,retrans=1,retry=0'
    const mount = ['mount', '-n', '-t', 'nfs4', '-o', options, `${serverAddress(address)}:${exportPath(path)}`, path]
    try {
      await this.#runner.read('timeout', ['-k', '1', mountSeconds, 'unshare', '-m', ...mount])
    } catch (error) {
      const said = (error as Error).message
      // A kernel that serves NFS, and cannot mount it: the server's answer is all there is.
      if (/No such device|unknown filesystem type/i.test(said)) return
      throw new StorageError('failed', `${path} was exported to ${cidr}, and ${address} cannot mount it: ${said}`, {
        cause: error,
      })
    }
  }
}

function ownAddresses(): string[] {
  const found = Object.values(networkInterfaces()).flatMap(one => one ?? [])
  return found.filter(({family}) => family === 'IPv4').map(({address}) => address)
}
