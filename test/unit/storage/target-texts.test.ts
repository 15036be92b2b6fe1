import {mkdir, readdir, symlink, writeFile} from 'node:fs/promises'
import {createServer, type Socket} from 'node:net'
import {join} from 'node:path'
import {Compile} from 'typebox/schema'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {contract} from '../../../src/contract/contract.ts'
import {nextRun, scheduledName} from '../../../src/domain/site-schedule.ts'
import {DirectoryTarget} from '../../../src/storage/backup/directory-target.ts'
import {checkedAccess, type S3Access} from '../../../src/storage/backup/s3-access.ts'
import {S3Target} from '../../../src/storage/backup/s3-target.ts'
import {
  commentText,
  devicePath,
  exportPath,
  machineNumber,
  storageName,
  vmArchive,
  volumeName,
} from '../../../src/storage/grammar.ts'
import {hostileTexts} from '../../support/hostile-texts.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

const hostile = hostileTexts(500)
const {signal} = new AbortController()
const name = 'right.tar.zst'

/** A port that writes down every byte which comes, and says that there is no such file. */
const heads: string[] = []
const open = new Set<Socket>()
const recorder = createServer(socket => {
  open.add(socket)
  socket.on('error', () => {}).setEncoding('latin1')
  socket.on('data', (text: string) => {
    heads.push(text)
    socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')
  })
})
let right: S3Access

beforeAll(async () => {
  await new Promise<void>(resolve => recorder.listen(0, '127.0.0.1', resolve))
  const {port} = recorder.address() as {port: number}
  right = {
    ...{type: 's3', endpoint: `http://127.0.0.1:${port}`, region: 'eu-north-1', bucket: 'vault', prefix: 'shop/'},
    ...{accessKeyId: 'KEYID', secretAccessKey: 'a-very-secret-key'},
  }
})
afterAll(() => {
  for (const socket of open) socket.destroy()
  recorder.close()
})

interface Asked {
  line: string
  names: string[]
  host: string
  credential: string
  params: number
}

/** The requests that reached the port while the size of a file was asked for, or why none did. */
async function asked(access: S3Access): Promise<Asked[] | Error> {
  heads.length = 0
  try {
    expect(await new S3Target(access).size(name)).toBeNull()
  } catch (error) {
    if ((error as Error).name !== 'StorageError') throw error
    expect(heads).toEqual([])
    return error as Error
  }
  expect(heads.join('')).not.toContain(access.secretAccessKey)
  return heads.join('').split('\r\n\r\n').filter(Boolean).map(readHead)
}

function readHead(text: string): Asked {
  const [line = '', ...rest] = text.split('\r\n')
  const headers = rest.map(one => [one.slice(0, one.indexOf(':')).toLowerCase(), one.slice(one.indexOf(':') + 2)])
  const {host = '', authorization = ''} = Object.fromEntries(headers)
  const params = authorization.replace(/^AWS4-HMAC-SHA256 /, '').split(/, */)
  const [credential = ''] = params
  return {line, names: headers.map(([header = '']) => header), host, credential, params: params.length}
}

const today = () => new Date().toISOString().slice(0, 10).replaceAll('-', '')

test.each<[keyof S3Access, (text: string) => string]>([
  ['bucket', text => text],
  ['prefix', text => text],
  ['region', text => text],
  ['accessKeyId', text => text],
  ['secretAccessKey', text => `very-secret-${text}`],
])(
  'T15 T6: none of 500 hostile texts as the %s of a bucket changes the form of a request',
  async (field, wordOf) => {
    const [harmless] = (await asked(right)) as Asked[]
    expect(harmless).toMatchObject({line: `HEAD /vault/shop/${name} HTTP/1.1`, params: 3})
    let refused = 0
    for (const text of hostile) {
      const access = {...right, [field]: wordOf(text)}
      const found = await asked(access)
      if (found instanceof Error) {
        expect(found).toMatchObject({code: 'invalid', message: expect.stringContaining(field)})
        if (text.length > 3) expect(found.message).not.toContain(access.secretAccessKey)
        refused++
        continue
      }
      const {bucket, prefix, accessKeyId, region} = access
      expect(found).toEqual([
        {
          ...harmless,
          line: `HEAD /${bucket}/${prefix}${name} HTTP/1.1`,
          credential: `Credential=${accessKeyId}/${today()}/${region}/s3/aws4_request`,
        },
      ])
    }
    expect(refused).toBeGreaterThan(field === 'secretAccessKey' || field === 'accessKeyId' ? 150 : 300)
  },
  60_000,
)

test('T6: none of 500 hostile texts behind the endpoint of a bucket, or in its place, sends a request elsewhere', async () => {
  const [harmless] = (await asked(right)) as Asked[]
  for (const text of hostile) {
    const found = await asked({...right, endpoint: `${right.endpoint}${text}`})
    if (found instanceof Error) expect(found).toMatchObject({code: 'invalid'})
    else expect(found, text).toEqual([harmless])
  }
  const ends: string[] = []
  for (const endpoint of hostile.flatMap(text => [text, `http://${text}`, `https://${text}:443`])) {
    try {
      ends.push(checkedAccess({...right, endpoint}).endpoint)
    } catch (error) {
      expect(error).toMatchObject({name: 'StorageError', code: 'invalid'})
    }
  }
  for (const end of ends) {
    const {username, password, pathname, search, hash, protocol} = new URL(end)
    expect([username, password, pathname, search, hash], end).toEqual(['', '', '/', '', ''])
    expect(protocol).toMatch(/^https?:$/)
  }
  expect(ends.length).toBeGreaterThan(20)
})

test('T17: none of 500 hostile texts in the path of a folder for backups leads a file out of it', async () => {
  const here = await temporaryDirectory()
  const folder = join(here, 'vault')
  await mkdir(join(folder, 'a', 'b'), {recursive: true})
  await writeFile(join(here, name), 'not yours')
  await symlink(join(here, name), join(folder, 'a', name))
  const bytes = async function* () {
    yield Buffer.from('x')
  }
  let taken = 0
  for (const text of hostile) {
    for (const path of [text, `${folder}/${text}`, `${folder}/a/${text}`]) {
      const isPlain = /^\/[A-Za-z0-9._/-]{1,500}$/.test(path) && !path.split('/').includes('..')
      if (!isPlain) {
        expect(() => new DirectoryTarget(path), path).toThrow(/is not the path of a folder/)
      } else if (path !== text) {
        const target = new DirectoryTarget(path)
        taken++
        await target.write(name, bytes(), {expectedBytes: 1, signal}).catch(ofStorage)
        await target.remove(name).catch(ofStorage)
        await target.write('kept.tar.zst', bytes(), {expectedBytes: 1, signal}).catch(ofStorage)
      }
    }
  }
  expect(taken).toBeGreaterThan(50)
  expect((await readdir(here)).sort()).toEqual([name, 'vault'])
  const files = (await readdir(here, {recursive: true, withFileTypes: true})).filter(one => !one.isDirectory())
  expect(new Set(files.map(one => one.name))).toEqual(new Set([name, 'kept.tar.zst']))
})

test('T15: what the server takes of a place for backups, each agent takes too', () => {
  const taken = Compile(contract['backupTargets.create'].input)
  const refused = {path: 0, endpoint: 0, region: 0, bucket: 0, prefix: 0, accessKeyId: 0, secretAccessKey: 0}
  for (const text of hostile) {
    for (const field of Object.keys(refused) as (keyof typeof refused)[]) {
      if (!taken.Check({name: 'vault', type: 's3', [field]: text})) refused[field]++
      else if (field === 'path') expect(() => new DirectoryTarget(text)).not.toThrow()
      else if (field !== 'endpoint') expect(() => checkedAccess({...right, [field]: text})).not.toThrow()
    }
  }
  expect(Math.min(...Object.values(refused))).toBeGreaterThan(100)
})

interface Field {
  operation: keyof typeof contract
  input: object
  field: string
  /** The last gate, on the agent. */
  gate(text: string): unknown
}

const machine = {vm: '100', node: 'n1'}
const pool = {name: 'tank', node: 'n1'}
const site = {id: 'shop', frequency: 'daily'}
const fields: Field[] = [
  {operation: 'vmBackups.create', input: machine, field: 'vm', gate: machineNumber},
  {operation: 'vmBackups.create', input: machine, field: 'storage', gate: storageName},
  {operation: 'vmBackups.restore', input: {node: 'n1'}, field: 'archive', gate: vmArchive},
  {operation: 'pools.create', input: pool, field: 'device', gate: devicePath},
  {operation: 'pools.create', input: pool, field: 'comment', gate: commentText},
  {operation: 'mounts.create', input: {nodes: ['n1']}, field: 'name', gate: volumeName},
  {operation: 'mounts.create', input: {name: 'm', nodes: ['n1']}, field: 'exportPath', gate: exportPath},
  {operation: 'sites.create', input: {node: 'n1', quotaBytes: 2 ** 30}, field: 'name', gate: volumeName},
  {operation: 'sites.snapshot', input: {id: 'shop'}, field: 'name', gate: volumeName},
  {operation: 'sites.clone', input: {id: 'shop', snapshot: 's'}, field: 'name', gate: volumeName},
  {operation: 'sites.setSchedule', input: site, field: 'time', gate: time => volumeName(nameAt(time))},
]

/** Of the snapshot that a schedule of this time makes. */
function nameAt(scheduleTime: string): string {
  const next = nextRun({scheduleFrequency: 'daily', scheduleTime, scheduleDays: null}, Date.UTC(2026, 0, 1))
  return scheduledName(new Date(next ?? 0).toISOString())
}

test.each(fields)(
  'T15: what the server takes of 500 hostile texts as $field of $operation, the agent takes too',
  one => {
    const {operation, input, field, gate} = one
    const taken = Compile(contract[operation].input)
    const times = field === 'time' ? ['00:00', '23:59', '04:30\n', '04:30;id', '24:00'] : []
    let refused = 0
    for (const text of [...hostile, ...times]) {
      if (taken.Check({...input, [field]: text})) expect(() => gate(text), JSON.stringify(text)).not.toThrow()
      else refused++
    }
    expect(refused).toBeGreaterThan(100)
  },
)

test('T15: a schedule has no other frequencies than its four, and no days that are no numbers', () => {
  const taken = Compile(contract['sites.setSchedule'].input)
  for (const text of hostile) {
    expect(taken.Check({id: 'shop', frequency: text}), text).toBe(false)
    expect(taken.Check({id: 'shop', frequency: 'weekly', days: [text]}), text).toBe(false)
  }
})

function ofStorage(error: {name: string}): void {
  if (error.name !== 'StorageError') throw error
}
