import {readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import type {Site} from '../../src/contract/schemas/sites.ts'
import {backupPlace, nodeWithPool} from '../support/backup-place.ts'
import {need} from '../support/skips.ts'

test('a site’s owner lists, verifies and takes its backups, and brings the site back where it was, also when he has deleted it', async context => {
  need(context, 'root')
  const {plane, home, bob, list, backup, done} = await backupPlace()
  const own = {...backup, node: 'n1', isNodeGone: false}
  for (const wanted of [{}, {site: 'shop'}, {node: 'n1'}]) expect(await list(wanted, bob)).toEqual([own])
  expect(await list({node: 'n2'}, bob)).toEqual([])
  expect(await plane.ok('backups.get', {id: backup.filename}, {token: bob})).toEqual(own)
  await done('backups.verify', {id: backup.id}, bob)
  const {headers} = await plane.ask('backups.download', {id: backup.id}, {token: bob})
  expect(Number(headers['content-length'])).toBe(backup.sizeBytes)

  await writeFile(join(await home.folderOf('shop'), 'page'), 'spoilt')
  await done('backups.restore', {id: backup.id, site: 'shop', confirm: 'shop'}, bob)
  expect(await readFile(join(await home.folderOf('shop'), 'page'), 'utf8')).toBe('bytes of bob')

  await done('sites.delete', {id: 'shop', confirm: 'shop'}, bob)
  expect(await list({site: 'shop'}, bob)).toEqual([own])
  await done('backups.restore', {id: backup.id, site: 'shop'}, bob)
  expect(await readFile(join(await home.folderOf('shop'), 'page'), 'utf8')).toBe('bytes of bob')
  expect(await plane.ok<Site[]>('sites.list', {}, {token: bob})).toMatchObject([{name: 'shop', owner: 'bob'}])
})

test('T18: who only owns a site gets no second one, no other node or pool, and deletes no backup of it', async context => {
  need(context, 'root')
  const {plane, bob, backup} = await backupPlace()
  await nodeWithPool(plane, 'n2', 'other')
  const restore = (input: object) => plane.ask('backups.restore', {id: backup.id, ...input}, {token: bob})
  expect(await restore({site: 'copy'})).toMatchObject({status: 400, json: {error: {details: {field: 'site'}}}})
  expect(await restore({site: 'shop', node: 'n2'})).toMatchObject({status: 403})
  expect(await restore({site: 'shop', pool: 'other'})).toMatchObject({status: 404})
  const deleting = {id: backup.id, confirm: backup.filename}
  expect(await plane.ask('backups.delete', deleting, {token: bob})).toMatchObject({status: 403})
  expect(await plane.ask('backups.create', {site: 'shop', target: 'disk'}, {token: bob})).toMatchObject({status: 403})
})

test('one in a folder of a node that is gone says where it lies; deleting it forgets it', async context => {
  need(context, 'root')
  const {plane, home, token, target, list, backup, done} = await backupPlace()
  await nodeWithPool(plane, 'n2', 'other')
  await plane.ok('nodes.delete', {id: home.nodeId}, {token})

  for (const name of ['backups.verify', 'backups.download'] as const) {
    const refused = await plane.ask(name, {id: backup.id}, {token})
    expect(refused).toMatchObject({status: 409, json: {error: {code: 'backup_out_of_reach'}}})
    expect(refused.json.error.message).toContain(`${target}/${backup.filename} on n1`)
  }
  // A folder that the other node has too, as a mount of the same export, is enough.
  await done('backups.restore', {id: backup.id, site: 'shop', node: 'n2'})
  const {result} = await done('backups.delete', {id: backup.id, confirm: backup.filename})
  expect(result).toEqual({filename: backup.filename, fileStays: true})
  expect([await list(), await readdir(target)]).toEqual([[], [backup.filename]])
})
