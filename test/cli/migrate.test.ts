import {mkdir, readFile, writeFile} from 'node:fs/promises'
import {hostname} from 'node:os'
import {dirname, join} from 'node:path'
import {expect, type TestContext, test} from 'vitest'
import {copyToPostgres} from '../../src/store/copy-to-postgres.ts'
import {migrations} from '../../src/store/migrations/migrations.ts'
import {openStore} from '../../src/store/open.ts'
import {controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {createDatabase} from '../support/postgres.ts'
import {need} from '../support/skips.ts'
import {execute} from '../support/store-sql.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {newClaim, newUser} from '../unit/store/records.ts'

const newest = migrations.at(-1)!.version
const onFatal = (error: unknown) => {
  throw error
}

async function place(context: TestContext) {
  need(context, 'postgres')
  const plane = await controlPlane()
  const ada = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  await plane.user('ann')
  await plane.user('gone')
  await plane.ok('users.delete', {id: 'gone'}, {token: plane.adminToken})
  await plane.ok('images.create', {name: 'box', address: 'busybox'}, {token: plane.adminToken})
  const url = await createDatabase()
  return {plane, ada, url, data: ['--data', dirname(plane.directory)]}
}

test('a SQLite store is copied into PostgreSQL with counts and checksums, and a server goes on there', {
  timeout: 90_000,
}, async context => {
  const {plane, ada, url, data} = await place(context)
  const before = await plane.ok<{number: number}[]>('users.list', {}, {token: plane.adminToken})
  const migrate = ['server', 'migrate', ...data, '--to', url]

  expect(await ada.run(migrate)).toMatchObject({code: 1, stderr: expect.stringContaining('server status')})
  await plane.stop()
  const plan = await ada.run([...migrate, '--dry-run', '-o', 'json'])
  const done = await ada.json<{tables: {table: string; rows: number; checksum: string}[]}>(migrate)

  expect(plan.code).toBe(10)
  expect(JSON.parse(plan.stdout).tables).toEqual(done.tables.map(({table, rows}) => ({table, rows})))
  expect(done.tables).toContainEqual({table: 'users', rows: 2, checksum: expect.stringMatching(/^[0-9a-f]{64}$/)})
  const there = await controlPlane({directory: plane.directory, database: url})
  const after = await there.ok<{number: number}[]>('users.list', {}, {token: plane.adminToken})
  expect(after).toEqual(before)
  expect(await there.login('ann', 'Long-enough-ann')).toMatch(/./)
  expect(await there.ok('audit.verify', {}, {token: plane.adminToken})).toMatchObject({fault: null, isDone: true})
  const [row] = await there.ok<object[]>('audit.list', {action: 'server.migrate'}, {token: plane.adminToken})
  expect(row).toMatchObject({details: {from: 'sqlite', to: 'postgres'}})
  // The number of the user who is gone is not given again.
  const {id} = await there.user('new')
  const all = await there.ok<{id: string; number: number}[]>('users.list', {}, {token: plane.adminToken})
  expect(all.find(one => one.id === id)?.number).toBe(4)
  await there.stop()
  expect(await ada.run(migrate)).toMatchObject({code: 1, stderr: expect.stringContaining('is used already')})
})

test('F24: a backup of a PostgreSQL store that is written to is of one moment, and comes back into PostgreSQL and SQLite', {
  timeout: 120_000,
}, async context => {
  need(context, 'postgres')
  const database = await createDatabase()
  const plane = await controlPlane({database})
  const ada = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  await plane.user('ann')
  await plane.user('gone')
  await plane.ok('users.delete', {id: 'gone'}, {token: plane.adminToken})
  let isOver = false
  const write = async (who: number) => {
    for (let count = 0; !isOver; count++)
      await plane.ok('images.create', {name: `i-${who}-${count}`, address: 'busybox'}, {token: plane.adminToken})
  }
  const writers = [1, 2].map(write)
  const data = ['--data', dirname(plane.directory)]
  const file = join(ada.home, 'a.backup')
  await mkdir(ada.home, {recursive: true})
  const made = await ada.json<{sha256: string}>(['server', 'backup', file, ...data, '--db', database, '--with-key'])
  isOver = true
  await Promise.all(writers)
  const [row] = await plane.ok<object[]>('audit.list', {action: 'server.backup'}, {token: plane.adminToken})
  expect(row).toMatchObject({details: {sha256: made.sha256}})
  const images = async (at: string) => {
    const store = await openStore({at, onFatal, beside: true})
    const [created, there] = [await store.audit.list(100_000), await store.images.list()]
    expect(await store.audit.verify({limit: 100_000})).toMatchObject({fault: null, isDone: true})
    await store.close()
    expect(there.length).toBeGreaterThan(0)
    expect(created.filter(({action}) => action === 'images.create').length).toBe(there.length)
    return there.map(({name, number}) => `${number} ${name}`).sort()
  }

  const other = join(ada.home, 'other')
  const restore = ['server', 'restore', file, '--data', other, '--confirm', hostname()]
  await ada.ok(restore)
  const url = await createDatabase()
  await ada.ok([...restore, '--db', url])

  const inFile = await images(join(other, 'server', 'server.db'))
  expect(await images(url)).toEqual(inFile)
  expect(await ada.run([...restore, '--db', url])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is used already'),
  })
  const there = await controlPlane({directory: join(other, 'server'), database: url})
  expect(await there.login('ann', 'Long-enough-ann')).toMatch(/./)
  // The number of the user who is gone is not given again.
  const {id} = await there.user('new')
  const all = await there.ok<{id: string; number: number}[]>('users.list', {}, {token: there.adminToken})
  expect(all.find(one => one.id === id)?.number).toBe(4)
})

test('a copy that fails half way leaves nothing there, and can be run again', {timeout: 60_000}, async context => {
  need(context, 'postgres')
  const url = await createDatabase()
  const at = join(await temporaryDirectory(), 'server.db')
  const source = await openStore({at, onFatal})
  for (let count = 0; count < 700; count++) void source.claims.insert(newClaim({name: `naïve-${count} 好`}))
  await source.users.insert(newUser())
  await source.close()
  await (await openStore({at: url, onFatal})).close()
  const refuse = `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not this one''; END'`
  await execute(url, [refuse, 'CREATE TRIGGER refuse BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse()'])

  await expect(copyToPostgres(at, url, () => undefined)).rejects.toThrow('not this one')

  await execute(url, ['DROP TRIGGER refuse ON users'])
  const copied = await copyToPostgres(at, url, () => undefined)
  expect(copied.find(({table}) => table === 'claims')).toMatchObject({rows: 700})
  const store = await openStore({at: url, onFatal})
  expect(await store.claims.list({})).toHaveLength(700)
  await store.close()
})

test('a row that PostgreSQL keeps in another way than it was sent is found by its checksum', {
  timeout: 60_000,
}, async context => {
  need(context, 'postgres')
  const url = await createDatabase()
  const at = join(await temporaryDirectory(), 'server.db')
  const source = await openStore({at, onFatal})
  await source.users.insert(newUser())
  await source.close()
  await (await openStore({at: url, onFatal})).close()
  const change = `CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name_key = ''x''; RETURN NEW; END'`
  await execute(url, [change, 'CREATE TRIGGER change BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION change()'])

  await expect(copyToPostgres(at, url, () => undefined)).rejects.toThrow('users is not the same there')
})

test('the schema is shown and brought up to date while no server runs', {timeout: 60_000}, async () => {
  const ada = await operator()
  const folder = join(ada.env.GPUCTL_DATA_DIR ?? '', 'server')
  const file = join(folder, 'server.db')
  await mkdir(folder, {recursive: true, mode: 0o700})
  const former = await openStore({at: file, onFatal, migrations: migrations.slice(0, -1)})
  await former.users.insert(newUser({username: 'admin', role: 'super_admin'}))
  await former.close()

  const {pending} = await ada.json<{pending: object[]}>(['server', 'migrate', '--status'])
  expect(pending).toEqual([{version: newest, name: migrations.at(-1)?.name}])
  expect(await ada.run(['server', 'migrate', '--dry-run'])).toMatchObject({code: 10})
  expect(await ada.run(['server', 'user-reset-password', 'admin', '--generate'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('server migrate'),
  })
  expect(await ada.json(['server', 'migrate'])).toEqual({found: newest, newest, pending: [], tables: null})
  expect(await ada.run(['server', 'user-reset-password', 'admin', '--generate'])).toMatchObject({code: 0})
  expect(await ada.run(['server', 'migrate', '--dry-run'])).toMatchObject({code: 0})

  await execute(file, [`UPDATE schema_versions SET version = ${newest + 1} WHERE version = ${newest}`])
  expect(await ada.run(['server', 'migrate'])).toMatchObject({code: 1, stderr: expect.stringContaining('newer gpuctl')})
})

test('the password of a database is taken from a file, never from the command line', async () => {
  const ada = await operator()
  await ada.ok(['server', 'init', '--non-interactive'])
  const url = 'postgres://gpuctl:canary-7Qx9vK2m@127.0.0.1:1/gpuctl'
  const file = join(ada.home, 'url')
  await writeFile(file, `${url}\n`, {mode: 0o600})

  expect(await ada.run(['server', 'migrate', '--to', url])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--to-file'),
  })
  const {code, stdout, stderr} = await ada.run(['server', 'migrate', '--to-file', file, '--dry-run'])
  expect(code).toBe(1)
  expect(stdout + stderr).not.toContain('canary')
  expect(await ada.run(['server', 'migrate', '--to', 'mysql://db/gpuctl'])).toMatchObject({code: 2})
  expect(await readFile(file, 'utf8')).toContain('canary')
})
