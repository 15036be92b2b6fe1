import {spawn} from 'node:child_process'
import {truncate, writeFile} from 'node:fs/promises'
import {join, resolve} from 'node:path'
import {text} from 'node:stream/consumers'
import {expect, test} from 'vitest'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

// Needs a kernel with device-mapper and NFS, which few test machines have: a small machine of our own is started once.

test.for([
  ['lvm', 'test/conformance/storage.test.ts', 'driver lvm', 'storage driver lvm > a pool is made once'],
  ['lvm-thin', 'test/conformance/storage.test.ts', 'driver lvm-thin', 'storage driver lvm-thin > a pool is made once'],
  ['NFS', 'test/vm/nfs.guest.ts', 'NFS', 'a server that is gone leaves a dead mount'],
] as const)('in a machine of its own %s does what it must', async ([name, file, title, proof], context) => {
  need(context, 'root', 'busybox', 'qemu')
  const shared = await temporaryDirectory('gpuctl-vm-')
  const disk = join(await temporaryDirectory('gpuctl-vm-disk-'), 'disk')
  await writeFile(disk, '')
  await truncate(disk, 512 * 2 ** 20)

  const {code, output} = await boot(shared, disk, `cd ${resolve('.')} && ${vitest(file, title)}`)

  expect(code, `${name}:\n${output}`).toBe(0)
  expect(output).toContain(proof)
})

function vitest(file: string, title: string): string {
  const flags = '--project conformance --project guest --reporter verbose --testTimeout 120000'
  return `node node_modules/.bin/vitest run ${file} ${flags} -t '${title} '`
}

async function boot(shared: string, disk: string, command: string): Promise<{code: number | null; output: string}> {
  const child = spawn('bash', ['test/vm/boot.sh', shared, disk, command], {stdio: ['ignore', 'pipe', 'pipe']})
  const ended = new Promise<number | null>(done => child.once('close', done))
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return {code, output: out + err}
}
