import {randomBytes} from 'node:crypto'
import {chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink, utimes, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {buffer} from 'node:stream/consumers'
import {beforeEach, expect, test} from 'vitest'
import {pipe} from '../support/piped.ts'
import {tarFile, tarOf} from '../support/tar.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {needEngine, wholeFleet} from '../support/whole-fleet.ts'

beforeEach(needEngine)

test('files, folders, links, modes and times survive a copy there and back', async () => {
  const fleet = await wholeFleet()
  const {name} = await fleet.running()
  const here = await temporaryDirectory('gpuctl-cp-')
  await mkdir(join(here, 'work', 'deep er'), {recursive: true})
  const bytes = randomBytes(3_000_000)
  await writeFile(join(here, 'work', 'deep er', 'größe.bin'), bytes, {mode: 0o640})
  await writeFile(join(here, 'work', 'run.sh'), '#!/bin/sh\n')
  await chmod(join(here, 'work', 'run.sh'), 0o755)
  await utimes(join(here, 'work', 'run.sh'), 1_700_000_000, 1_700_000_000)
  await symlink('deep er/größe.bin', join(here, 'work', 'link'))
  await writeFile(join(here, 'work', 'empty'), '')

  const up = await pipe(fleet, ['cp', '-r', join(here, 'work'), `${name}:/srv`, '--checksum', '--json'])
  const seen = await pipe(fleet, ['exec', name, '--', 'sh', '-c', 'cd /srv && stat -c %a,%s run.sh && readlink link'])
  const down = await pipe(fleet, ['cp', '-r', `${name}:/srv`, join(here, 'back'), '--checksum'])

  expect(up).toMatchObject({code: 0})
  expect(JSON.parse(up.stdout.toString())).toMatchObject({files: 3, bytes: 3_000_010, verified: true})
  expect(seen.stdout.toString()).toBe('755,10\ndeep er/größe.bin\n')
  expect(down).toMatchObject({code: 0})
  expect((await readFile(join(here, 'back', 'link'))).equals(bytes)).toBe(true)
  expect(await readlink(join(here, 'back', 'link'))).toBe('deep er/größe.bin')
  expect((await stat(join(here, 'back', 'deep er', 'größe.bin'))).mode & 0o777).toBe(0o640)
  expect(await stat(join(here, 'back', 'run.sh'))).toMatchObject({mtimeMs: 1_700_000_000_000})
  expect((await lstat(join(here, 'back', 'empty'))).size).toBe(0)
})

test('a copy goes into a folder that is there, under a new name where there is none, and through pipes', async () => {
  const fleet = await wholeFleet()
  const [{name: one}, {name: two}] = [await fleet.running(), await fleet.running()]
  const bytes = randomBytes(200_000)

  expect(await pipe(fleet, ['cp', '-', `${one}:/tmp/data.bin`], bytes)).toMatchObject({code: 0})
  expect(await pipe(fleet, ['cp', `${one}:/tmp/data.bin`, `${two}:/tmp`, '--checksum'])).toMatchObject({code: 0})
  expect(await pipe(fleet, ['cp', `${two}:/tmp/data.bin`, `${two}:/tmp/again`])).toMatchObject({code: 0})
  const back = await pipe(fleet, ['cp', `${two}:/tmp/again`, '-'])

  expect(back.stdout.equals(bytes)).toBe(true)
  expect(back.stderr).toContain('Copied 1 file')
})

test('what cannot be copied is said with its reason, and nothing half done stays here', async () => {
  const fleet = await wholeFleet()
  const {name} = await fleet.running()
  const here = await temporaryDirectory('gpuctl-cp-')
  const fails = async (args: string[]) => {
    const {code, stderr} = await pipe(fleet, ['cp', ...args])
    return `${code} ${stderr.split('\n')[0]?.replace(/ \(E_\w+\)$/, '')}`
  }

  expect(await fails([`${name}:/nowhere`, here])).toBe(`3 Error: There is no /nowhere in ${name}.`)
  expect(await fails([`${name}:/etc`, here])).toBe(`2 Error: ${name}:/etc is a folder.`)
  expect(await fails(['/nowhere', `${name}:/tmp`])).toMatch(/^3 Error: \/nowhere cannot be read/)
  expect(await fails([`${name}:/etc/passwd`, join(here, 'no', 'folder')])).toMatch(/^3 Error: There is no folder/)
  expect(await fails(['/etc/hostname', `${name}:/no/folder`])).toMatch(/^3 Error: There is no \/no in the instance/)
  expect(await fails(['a', 'b'])).toBe('2 Error: Neither end is in an instance.')
  expect(await fails(['nobody:/a', here])).toBe('3 Error: There is no instance nobody.')
  expect(await readdir(here)).toEqual([])
})

test('an archive that leads out of the target writes nothing there', async () => {
  const fleet = await wholeFleet()
  const {name, id} = await fleet.running()
  const {Id} = await fleet.container({id})
  const container = fleet.docker.getContainer(Id)
  const outside = await temporaryDirectory('gpuctl-out-')
  const here = await temporaryDirectory('gpuctl-cp-')
  const tar = tarOf(
    tarFile('evil', '', {kind: 'folder'}),
    tarFile('evil/way', '', {kind: 'link', linkTarget: outside, mode: 0o777}),
  )
  await container.putArchive(await buffer(tar), {path: '/tmp'})

  const absolute = await pipe(fleet, ['cp', '-r', `${name}:/tmp/evil`, here])
  await fleet.docker
    .getContainer(Id)
    .exec({Cmd: ['ln', '-sfn', '../..', '/tmp/evil/way']})
    .then(exec => exec.start({}))
  const upwards = await pipe(fleet, ['cp', '-r', `${name}:/tmp/evil`, join(here, 'second')])
  await mkdir(join(here, 'third'))
  await symlink(outside, join(here, 'third', 'evil'))
  const through = await pipe(fleet, ['cp', '-r', `${name}:/tmp/evil`, join(here, 'third')])

  expect(absolute).toMatchObject({code: 1, stderr: expect.stringContaining(`leads to ${outside}`)})
  expect(upwards).toMatchObject({code: 1, stderr: expect.stringContaining('leads to ../..')})
  expect(through).toMatchObject({code: 1, stderr: expect.stringContaining('is in the way')})
  expect(await readdir(outside)).toEqual([])
})
