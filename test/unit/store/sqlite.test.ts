import {chmod, open, readFile, stat, truncate, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {migrations} from '../../../src/store/migrations/migrations.ts'
import {openStore} from '../../../src/store/open.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {eventually} from '../../support/wait.ts'
import {newClaim} from './records.ts'

const onFatal = (error: unknown) => {
  throw error
}

async function storeAt(at: string) {
  const store = await openStore({at, onFatal})
  onTestFinished(() => store.close())
  return store
}

test('100 transactions that wait share few commits', async () => {
  const store = await storeAt(join(await temporaryDirectory(), 'store.db'))
  const before = {...store.counts}

  await Promise.all(Array.from({length: 100}, () => store.transaction(tx => tx.claims.insert(newClaim()))))

  expect(store.counts.transactions - before.transactions).toBe(100)
  expect(store.counts.commits - before.commits).toBeLessThan(10)
})

test('what is not awaited in a transaction cannot slip into the next one', async () => {
  const store = await storeAt(join(await temporaryDirectory(), 'store.db'))
  let late: (() => Promise<void>) | undefined

  await store.transaction(async tx => {
    late = () => tx.settings.set('a', 'x')
  })

  await expect(late!()).rejects.toThrow('The transaction is over')
})

test('the file and its reserve are readable by their owner only, and one that others may read is refused', async () => {
  const file = join(await temporaryDirectory(), 'store.db')
  const store = await openStore({at: file, onFatal})
  await store.settings.set('a', 'x')
  const mode = async (path: string) => (await stat(path)).mode & 0o777

  expect([await mode(file), await mode(`${file}-wal`)]).toEqual([0o600, 0o600])
  await eventually(async () => (await stat(`${file}.reserve`)).size === 16 * 1024 * 1024)
  expect(await mode(`${file}.reserve`)).toBe(0o600)
  await store.close()
  await chmod(file, 0o644)
  await expect(openStore({at: file, onFatal})).rejects.toMatchObject({
    name: 'StoreUnusable',
    message: expect.stringContaining('mode 644'),
  })
})

test('a close leaves everything in the file and an empty log, and may be repeated', async () => {
  const file = join(await temporaryDirectory(), 'store.db')
  const store = await openStore({at: file, onFatal})
  await store.settings.set('a', 'x')

  await store.close()
  await store.close()

  const log = await stat(`${file}-wal`).catch(() => undefined)
  expect(log?.size ?? 0).toBe(0)
})

test('F25: a damaged, a cut and a foreign file are refused with their name, and nothing is written to them', async () => {
  const folder = await temporaryDirectory()
  const file = join(folder, 'store.db')
  const store = await openStore({at: file, onFatal})
  for (let i = 0; i < 200; i++) void store.claims.insert(newClaim())
  await store.close()
  const good = await readFile(file)
  const flipped = Buffer.from(good)
  flipped.fill(0xff, 40_960, 45_056)
  const cases: [content: Buffer, words: string][] = [
    [flipped, 'is damaged'],
    [good.subarray(0, Math.floor(good.length / 2)), 'is damaged'],
    [Buffer.from('hello, I am a letter to grandmother. '.repeat(200)), 'is damaged (file is not a database)'],
  ]
  for (const [content, words] of cases) {
    await writeFile(file, content)
    await expect(openStore({at: file, onFatal})).rejects.toMatchObject({
      name: 'StoreUnusable',
      message: expect.stringContaining(`${file} ${words}`),
      hint: expect.stringContaining('backup'),
    })
    expect(content.equals(await readFile(file))).toBe(true)
  }
  await writeFile(file, good)
  expect(await (await storeAt(file)).claims.list({})).toHaveLength(200)
})

test('F25: another program’s database is left alone', async () => {
  const file = join(await temporaryDirectory(), 'store.db')
  const {loadSqlite} = await import('../../../src/store/sqlite-driver.ts')
  const other = new (await loadSqlite())(file)
  other.exec('CREATE TABLE recipes (name TEXT)')
  other.close()
  await chmod(file, 0o600)

  await expect(openStore({at: file, onFatal})).rejects.toMatchObject({
    name: 'StoreUnusable',
    message: `${file} is not a database of gpuctl.`,
  })
})

test('F23: the file is copied before its schema changes', async () => {
  const file = join(await temporaryDirectory(), 'store.db')
  const before = await openStore({at: file, onFatal})
  await before.settings.set('a', 'x')
  await before.close()
  const newest = migrations.at(-1)!.version
  const later = {version: newest + 1, name: 'later', statements: () => ['DELETE FROM settings']}

  const after = await openStore({at: file, onFatal, migrations: [...migrations, later]})
  onTestFinished(() => after.close())

  expect(await after.settings.get('a')).toBeUndefined()
  expect((await stat(`${file}.schema-${newest}`)).mode & 0o777).toBe(0o600)
  const copy = await storeAt(`${file}.schema-${newest}`)
  expect(await copy.settings.get('a')).toBe('x')
})

test('a reserve that a crash left half made is made anew', async () => {
  const file = join(await temporaryDirectory(), 'store.db')
  await writeFile(`${file}.reserve`, 'half')
  await truncate(`${file}.reserve`, 1000)

  await storeAt(file)

  await eventually(async () => {
    const reserve = await open(`${file}.reserve`)
    const {size} = await reserve.stat()
    await reserve.close()
    return size === 16 * 1024 * 1024
  })
})

test('F26: a second server on the same file is refused until the first has closed it', async () => {
  const file = join(await temporaryDirectory(), 'store.db')
  const first = await openStore({at: file, onFatal})

  await expect(openStore({at: file, onFatal})).rejects.toMatchObject({
    name: 'StoreUnusable',
    message: `Another gpuctl server uses ${file}.`,
  })
  await first.settings.set('a', 'x')
  await first.close()

  expect(await (await storeAt(file)).settings.get('a')).toBe('x')
})
