import {spawn} from 'node:child_process'
import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {readFile, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {expect, test} from 'vitest'
import {apiPrefix} from '../../src/contract/routes.ts'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {operator, program} from '../support/gpuctl.ts'
import {hostileTexts} from '../support/hostile-texts.ts'
import {linkedStorage} from '../support/linked-storage.ts'
import {proxmoxMachine} from '../support/proxmox.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'
import {nativeServer} from './native-server.ts'

async function fleet() {
  const plane = await controlPlane()
  const machine = await proxmoxMachine()
  await linkedStorage(plane, 'pve-01', machine.storage)
  return {plane, machine}
}

/** A piece of an upload as bytes on the wire. */
async function send(plane: ControlPlane, content: Buffer, part: {file: string; offset: number; whole: Buffer}) {
  const sha256 = createHash('sha256').update(part.whole).digest('hex')
  const query = new URLSearchParams({
    ...{node: 'pve-01', sha256},
    ...{offset: String(part.offset), totalBytes: String(part.whole.length)},
  })
  const response = await fetch(`${plane.url}${apiPrefix}/os-images/${encodeURIComponent(part.file)}?${query}`, {
    method: 'PUT',
    headers: {authorization: `Bearer ${plane.adminToken}`, 'content-type': 'application/octet-stream'},
    body: new Uint8Array(content),
  })
  return {status: response.status, json: (await response.json()) as {sizeBytes?: number; error?: {code: string}}}
}

test('a file is uploaded, listed, made a template and deleted from the terminal', {timeout: 60_000}, async () => {
  const {plane, machine} = await fleet()
  const {run: gpuctl} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const path = join(await temporaryDirectory(), 'debian.img')
  const content = randomBytes(9 * 2 ** 20) // more than one piece
  await writeFile(path, content)

  const sent = await gpuctl(['image', 'upload', path, '--node', 'pve-01'])
  expect(sent).toMatchObject({code: 0, stdout: expect.stringContaining('debian.img is on pve-01.')})
  expect(content.equals(await readFile(join(machine.isoFolder, 'debian.img')))).toBe(true)
  const again = await gpuctl(['image', 'upload', path, '--node', 'pve-01'])
  expect(again.code).not.toBe(0)
  expect(again.stderr).toContain('There is already a file debian.img')

  const listed = await gpuctl(['image', 'list-files', '--json'])
  expect(JSON.parse(listed.stdout)).toMatchObject([{file: 'debian.img', node: 'pve-01', sizeBytes: content.length}])
  const made = await gpuctl(['image', 'template', 'debian.img', '--id', '9000', '--name', 'base', '--wait'])
  expect(made).toMatchObject({code: 0, stdout: expect.stringContaining('Template base (9000) is ready on pve-01.')})
  const gone = await gpuctl(['image', 'delete-file', 'debian.img'])
  expect(gone).toMatchObject({code: 0, stdout: expect.stringContaining('Deleted debian.img.')})
  expect(JSON.parse((await gpuctl(['image', 'list-files', '--json'])).stdout)).toEqual([])
})

test('an empty file and a name that is taken are said before anything is sent; Ctrl-C says how to go on', async () => {
  let pieces = 0
  const {url, asked} = await nativeServer({
    'GET /os-images': [{file: 'taken.img', node: 'n1', sizeBytes: 4, totalBytes: 4, sha256: ''}],
    'PUT /os-images/new.img': () => void pieces++, // and never an answer
  })
  const {run, env} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret'})
  const [empty, full] = [join(await temporaryDirectory(), 'empty.img'), join(await temporaryDirectory(), 'new.img')]
  await writeFile(empty, '')
  await writeFile(full, '7') // which the server below can read

  expect(await run(['image', 'upload', empty, '--node', 'n1'])).toMatchObject({
    ...{code: 2, stderr: expect.stringContaining('empty.img is empty.')},
  })
  const taken = await run(['image', 'upload', full, '--node', 'n1', '--name', 'taken.img'])
  expect(taken).toMatchObject({code: 5, stderr: expect.stringContaining('There is already a file taken.img')})
  expect(asked.filter(({method}) => method === 'PUT')).toEqual([])

  const child = spawn(process.execPath, [program, 'image', 'upload', full, '--node', 'n1'], {env, stdio: 'pipe'})
  const [said, ended] = [text(child.stderr), once(child, 'close')]
  await eventually(() => pieces === 1, {withinMs: 30_000, what: 'the first piece'})
  child.kill('SIGINT')
  expect(await ended).toEqual([130, null])
  expect(await said).toContain('the same command goes on.')
})

test('an upload that was cut goes on where it was; a wrong sum leaves nothing', {timeout: 30_000}, async () => {
  const {plane, machine} = await fleet()
  const whole = randomBytes(300_000)
  const part = {file: 'a.img', whole}
  expect(await send(plane, whole.subarray(0, 100_000), {...part, offset: 0})).toMatchObject({
    status: 200,
    json: {sizeBytes: 100_000},
  })
  expect(await machine.storage.call('osImages.list', {})).toMatchObject([{sizeBytes: 100_000, totalBytes: 300_000}])
  const wrongPlace = await send(plane, whole.subarray(200_000), {...part, offset: 200_000})
  expect(wrongPlace).toMatchObject({status: 400, json: {error: {code: 'storage_invalid'}}})
  const rest = await send(plane, whole.subarray(100_000), {...part, offset: 100_000})
  expect(rest).toMatchObject({status: 200, json: {sizeBytes: 300_000}})
  expect(whole.equals(await readFile(join(machine.isoFolder, 'a.img')))).toBe(true)

  const spoiled = Buffer.from(whole)
  spoiled[7] = (spoiled[7] ?? 0) ^ 1
  const wrong = await send(plane, spoiled, {file: 'b.img', whole, offset: 0})
  expect(wrong).toMatchObject({status: 400, json: {error: {code: 'storage_invalid'}}})
  const tooMuch = await send(plane, Buffer.concat([whole, whole]), {file: 'b.img', whole, offset: 0})
  expect(tooMuch.status).toBe(400)
  expect((await machine.storage.call('osImages.list', {})).filter(one => one.sha256 === '')).toHaveLength(1)
})

test('T17: none of 200 names leads out of the folder, and no link is followed', {timeout: 60_000}, async () => {
  const {plane, machine} = await fleet()
  const whole = Buffer.from('x')
  await symlink('/etc/passwd', join(machine.isoFolder, 'link.img'))
  let refused = 0
  for (const file of ['link.img', ...hostileTexts(200)]) {
    if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(file) && file !== 'link.img') continue
    const text = file.replace(/[\ud800-\udfff]/gu, '?')
    const {status} = await send(plane, whole, {file: text, whole, offset: 0})
    expect([400, 404, 405, 409], text).toContain(status)
    refused++
  }
  expect(refused).toBeGreaterThan(100)
  expect(await machine.storage.call('osImages.list', {})).toEqual([])
  await expect(
    machine.storage.call('template.create', {id: '9000', name: 'a', image: 'link.img', mark: 'a'}),
  ).rejects.toMatchObject({code: 'not_found'})
})
