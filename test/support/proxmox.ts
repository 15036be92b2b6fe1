import {readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {openStorage, type StorageParts} from '../../src/storage/registry.ts'
import {proxmoxPrograms} from './proxmox-programs.ts'
import {temporaryDirectory} from './temporary-directory.ts'

const looks = ['qm config', 'qm status', 'pvesm list', 'pvesm path']

/** A machine with Proxmox VE as far as its programs go: they keep what they are told, and every call is written down. */
export async function proxmoxMachine(parts: Partial<StorageParts> = {}) {
  const here = await temporaryDirectory('gpuctl-pve-')
  await proxmoxPrograms(here)
  const env = {PATH: `${join(here, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin`, LC_ALL: 'C', HOME: here, TZ: 'UTC'}
  const proxmox = {configFolder: join(here, 'pve'), isoFolder: join(here, 'iso')}
  const storage = openStorage({directory: join(here, 'gpuctl'), env, proxmox, ...parts})
  return {
    here,
    storage,
    isoFolder: proxmox.isoFolder,
    /** Every call so far, looks left out. */
    async calls(): Promise<string[][]> {
      const text = await readFile(join(here, 'calls'), 'utf8').catch(() => '')
      const all = text.split('\n\u0001\n').filter(call => call !== '')
      return all
        .map(call => call.split('\0').slice(0, -1))
        .filter(([file, verb = '']) => !looks.includes(`${file} ${verb}`))
    },
    /** As `qm template`; '' ends it. */
    makeFail: (call: string) => writeFile(join(here, 'fail'), call),
    config: () => readFile(join(here, 'pve', 'storage.cfg'), 'utf8'),
    cluster: (members: string[]) =>
      writeFile(
        join(here, 'pve', 'corosync.conf'),
        `totem {\n  cluster_name: lab\n}\n${members.map(one => `node {\n  ring0_addr: ${one}\n}\n`).join('')}`,
      ),
  }
}
