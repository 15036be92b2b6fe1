import {createHash} from 'node:crypto'
import {mkdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import type {StorageInput, StorageMethod} from '../../../src/contract/storage-protocol.ts'
import {BackupHost, type Pipe} from '../../../src/storage/backup/backup-host.ts'
import {type StorageCommand, type StorageDriver, StorageError} from '../../../src/storage/driver.ts'
import {ZfsDriver} from '../../../src/storage/zfs.ts'
import {hostileTexts} from '../../support/hostile-texts.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

const hostile = hostileTexts(500)
const piece = Buffer.from('piece')
const checksum = createHash('sha256').update(piece).digest('hex')

/** A node whose programs are written down and not run; every volume that is asked for is there. */
async function recordingHost({stuck}: {stuck?: StorageMethod} = {}) {
  const folder = join(await temporaryDirectory(), 'target')
  await mkdir(folder)
  await writeFile(join(folder, 'right.tar.zst'), piece)
  const ran: StorageCommand[] = []
  const runner = {read: async () => '', run: async (command: StorageCommand) => void ran.push(command)}
  const {plans, facts} = new ZfsDriver({runner})
  let volume = 'data'
  let mark = 'job'
  const driver = {
    ...{type: 'zfs', plans, facts},
    volumes: async (pool: string) =>
      [volume, `backup-${mark}`].map(name => ({
        ...{pool, type: 'zfs', volume: name, mark},
        path: '/tank/data',
        usedBytes: 1,
      })),
    snapshots: async () => [],
  } as unknown as StorageDriver
  const planned: Partial<Record<StorageMethod, (input: never) => StorageCommand[]>> = {
    'snapshot.clone': plans.clone,
    'volume.create': plans.createVolume,
    'volume.quota': plans.setQuota,
    'volume.delete': plans.deleteVolume,
  }
  const pipe: Pipe = async function* (commands, {content}) {
    ran.push(...commands)
    for await (const _ of content ?? []);
    yield piece
  }
  const call = async (method: StorageMethod, input: never) => {
    if (method === stuck) throw new StorageError('in_use', 'It is stuck.')
    ran.push(...(planned[method]?.(input) ?? []))
  }
  const locks = {hold: <T>(_: string, work: (lock: string) => Promise<T>) => work('/run/lock')}
  const methods = new BackupHost({runner, locks, driver: () => driver, call: call as never, pipe}).methods()
  return {
    folder,
    async ask<M extends keyof typeof methods>(method: M, input: StorageInput<M>): Promise<StorageCommand[]> {
      ran.length = 0
      const named = input as {volume?: string; job?: string}
      volume = named.volume ?? volume
      mark = named.job ?? mark
      await methods[method](input as never)
      return [...ran]
    },
    ran: () => ran,
  }
}

type Host = Awaited<ReturnType<typeof recordingHost>>

let calls = 0
const fresh = () => `job-${calls++}`
const data = {pool: 'tank', type: 'zfs', volume: 'data'} as const
const place = (folder: string, filename: string) => ({target: {type: 'directory', path: folder} as const, filename})
const make = (folder: string, rest: object) => {
  const file = place(folder, `made-${calls}.tar.zst`)
  return {...data, ...file, snapshot: 's1', job: fresh(), format: 'send', ...rest} as StorageInput<'backup.make'>
}
const restore = (
  folder: string,
  {filename = 'right.tar.zst', ...rest}: {filename?: string} & Partial<StorageInput<'backup.restore'>>,
) => {
  const pieces = [{...place(folder, filename), sizeBytes: piece.length, checksum}]
  const job = fresh()
  return {
    ...data,
    job,
    pieces,
    format: 'tar',
    quotaBytes: null,
    replace: true,
    ...rest,
  } as StorageInput<'backup.restore'>
}

const fields: Record<string, {right: string; ask(host: Host, text: string): Promise<StorageCommand[]>}> = {
  'pool of a stream': {right: 'tank', ask: (host, pool) => host.ask('backup.make', make(host.folder, {pool}))},
  'volume of a stream': {right: 'data', ask: (host, volume) => host.ask('backup.make', make(host.folder, {volume}))},
  'snapshot of a stream': {
    right: 's1',
    ask: (host, snapshot) => host.ask('backup.make', make(host.folder, {snapshot})),
  },
  'snapshot that a stream begins at': {
    right: 's0',
    ask: (host, since) => host.ask('backup.make', make(host.folder, {since: since || ' '})),
  },
  'pool of an archive': {
    right: 'tank',
    ask: (host, pool) => host.ask('backup.make', make(host.folder, {format: 'tar', pool})),
  },
  'snapshot of an archive': {
    right: 's1',
    ask: (host, snapshot) => host.ask('backup.make', make(host.folder, {format: 'tar', snapshot})),
  },
  'job of an archive': {
    right: 'job',
    ask: (host, job) => host.ask('backup.make', make(host.folder, {format: 'tar', job})),
  },
  'pool of a restore': {
    right: 'tank',
    ask: (host, pool) => host.ask('backup.restore', restore(host.folder, {pool, format: 'send'})),
  },
  'volume of a restore': {
    right: 'data',
    ask: (host, volume) => host.ask('backup.restore', restore(host.folder, {volume, format: 'send'})),
  },
  'job of a restore': {
    right: 'job',
    ask: (host, job) => host.ask('backup.restore', restore(host.folder, {job, format: 'send'})),
  },
  'file of a restore': {
    right: 'right.tar.zst',
    ask: (host, filename) => host.ask('backup.restore', restore(host.folder, {filename})),
  },
}

test.each(Object.entries(fields))(
  'T15: none of 500 hostile texts as the %s changes the form of a command',
  async (_, {right, ask}) => {
    const host = await recordingHost()
    const harmless = await ask(host, right)
    expect(harmless.length).toBeGreaterThan(0)
    let refused = 0
    for (const text of hostile) {
      const isTaken = await ask(host, text).then(
        () => true,
        (error: {name: string}) => {
          if (error.name !== 'StorageError') throw error
          refused++
          return false
        },
      )
      if (isTaken) expect(host.ran().map(formOf)).toEqual(harmless.map(formOf))
      for (const command of host.ran()) {
        // Each is one of the usual ones, with the text in no other place than the right one had.
        expect(
          harmless.some(usual => fits(command, usual, right)),
          JSON.stringify(command),
        ).toBe(true)
      }
    }
    expect(refused).toBeGreaterThan(300)
  },
  60_000,
)

test('what a backup was read through, and could not be removed, is said beside why the backup failed', async () => {
  const host = await recordingHost({stuck: 'volume.delete'})
  const taken = make(host.folder, {format: 'tar'})

  await expect(host.ask('backup.make', taken)).rejects.toThrow(
    `It is stuck. Volume tank/backup-${taken.job}, through which it was read, is left on the node. Delete it there.`,
  )
  const again = {...taken, job: fresh()} // the file is there by now
  await expect(host.ask('backup.make', again)).rejects.toMatchObject({
    code: 'exists',
    message: expect.stringMatching(
      /is there already\. Taking it back failed too: It is stuck\. Volume tank\/backup-job/,
    ),
  })
})

test.each(['backup.find', 'backup.delete'] as const)(
  'T17: %s takes a plain file name in an absolute folder, and no other of 500 texts',
  async method => {
    const host = await recordingHost()
    for (const text of hostile) {
      const error = await host
        .ask(method, {...place(host.folder, text), job: fresh()})
        .catch((reason: unknown) => reason)
      if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(text) && !text.includes('..')) expect(error).toEqual([])
      else expect(error).toMatchObject({name: 'StorageError', code: 'invalid'})
    }
  },
)

function formOf({file, args}: StorageCommand): string {
  return `${file} ${args.length}`
}

function fits({file, args}: StorageCommand, usual: StorageCommand, right: string): boolean {
  if (file !== usual.file || args.length !== usual.args.length) return false
  return args.every((word, at) => {
    const known = usual.args[at] ?? ''
    const isVaried = known.includes(right) || /job-\d+/.test(known)
    const isPlain = !/[\0\n\r]/.test(word) && word.startsWith('-') === known.startsWith('-')
    return word === known || (isVaried && isPlain)
  })
}
