import {execFile} from 'node:child_process'
import {chmod, writeFile} from 'node:fs/promises'
import {join, resolve} from 'node:path'
import {temporaryDirectory} from './temporary-directory.ts'

/** What test/e2e/storage-chain.sh wants to know. */
export interface StorageChain {
  A: string
  B: string
  ON_B: string
  DISK: string
  POOL: string
  TYPE: 'zfs' | 'lvm' | 'lvm-thin' | 'btrfs'
  PLACE: string
  NETWORK: string
  KERNEL_NFS: 'yes' | 'no'
  INSTANCE: string
  AT: string
  VAULT: string
}

interface ChainOptions {
  chain: StorageChain
  /** bin/run.js */
  program: string
  /** Where the server is, and the token of its administrator. */
  env: NodeJS.ProcessEnv
  longestMs: number
}

/** Runs it in a folder of its own, with this `gpuctl` in its path. */
export async function runStorageChain(options: ChainOptions): Promise<{code: number | null; output: string}> {
  const folder = await temporaryDirectory('gpuctl-chain-')
  const gpuctl = join(folder, 'gpuctl')
  await writeFile(gpuctl, `#!/bin/sh\nexec '${process.execPath}' '${options.program}' "$@"\n`)
  await chmod(gpuctl, 0o755)
  const env = {...options.env, ...options.chain, PATH: `${folder}:${process.env.PATH}`}
  const script = resolve('test/e2e/storage-chain.sh')
  return new Promise(done => {
    execFile('bash', ['-x', script], {cwd: folder, env, timeout: options.longestMs}, (error, stdout, stderr) =>
      done({code: error ? Number(error.code) : 0, output: stderr + stdout}),
    )
  })
}
