import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {bucket} from '../support/s3.ts'
import {need, unmet} from '../support/skips.ts'
import {type GuestRun, runInMachine} from './machine.ts'

// Needs a kernel with device-mapper and NFS, which few test machines have: a small machine of our own is started, once for
// all. Each test in it is a test here.

const files = {lvm: 'test/conformance/storage.test.ts', nfs: 'test/vm/nfs.guest.ts', chain: 'test/vm/chain.guest.ts'}
/** Of the thin driver what its own commands matter to: the others are the plain one's. */
const all =
  'storage driver lvm [a-zA-Z]|storage driver lvm-thin (volumes|a quota|snapshots|what was cut)|LVM|NFS (mounts|exports)'
const chain = 'NFS: a disk becomes a pool'
const names = new RegExp(process.env.GPUCTL_VM_TESTS || all)
const {code, results} = unmet('root', 'busybox', 'qemu') ? {code: 0, results: []} : await boot()

async function boot(): Promise<GuestRun> {
  const shared = await mkdtemp(join(tmpdir(), 'gpuctl-vm-'))
  try {
    const network = names.test(chain)
    if (network && !unmet('radosgw')) await shareBucket(shared)
    return await runInMachine(shared, files, {names, network})
  } finally {
    await rm(shared, {recursive: true, force: true, maxRetries: 3})
  }
}

/** A bucket on a real S3 server of this machine, with its key, for the tests in that one. */
async function shareBucket(shared: string): Promise<void> {
  const {access} = await bucket()
  const endpoint = access.endpoint.replace('127.0.0.1', '10.0.2.2')
  await writeFile(join(shared, 's3.json'), JSON.stringify({...access, endpoint}), {mode: 0o600})
}

describe('in a machine of its own', () => {
  test.for(results)('$name', ({error, skipped}, context) => {
    if (skipped !== null) context.skip(skipped)
    if (error !== null) throw new Error(error)
  })

  test.for([
    ['storage driver lvm >', 8],
    ['storage driver lvm-thin >', 4],
    ['NFS mounts', 8],
    ['NFS exports', 5],
    ['LVM', 2],
  ] as const)('all of %s was tried', ([suite, count], context) => {
    need(context, 'root', 'busybox', 'qemu')
    expect(code).toBe(0)
    const tried = results.filter(({name}) => name.includes(suite))
    if (names.source === all) expect(tried).toHaveLength(count)
  })
})
