import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {need, unmet} from '../support/skips.ts'
import {type GuestRun, runInMachine} from './machine.ts'

// Needs a kernel with device-mapper and NFS, which few test machines have: a small machine of our own is started, once for
// all. Each test in it is a test here.

const files = {lvm: 'test/conformance/storage.test.ts', nfs: 'test/vm/nfs.guest.ts'}
const names = /storage driver lvm|LVM|NFS/
const {code, results} = unmet('root', 'busybox', 'qemu') ? {code: 0, results: []} : await boot()

async function boot(): Promise<GuestRun> {
  const shared = await mkdtemp(join(tmpdir(), 'gpuctl-vm-'))
  try {
    return await runInMachine(shared, files, names)
  } finally {
    await rm(shared, {recursive: true, force: true, maxRetries: 3})
  }
}

describe('in a machine of its own', () => {
  test.for(results)('$name', ({error, skipped}, context) => {
    if (skipped !== null) context.skip(skipped)
    if (error !== null) throw new Error(error)
  })

  test.for(['storage driver lvm ', 'storage driver lvm-thin ', 'NFS'])('%s was tried', (suite, context) => {
    need(context, 'root', 'busybox', 'qemu')
    expect(code).toBe(0)
    expect(results.filter(({name}) => name.includes(suite)).length).toBeGreaterThan(5)
  })
})
