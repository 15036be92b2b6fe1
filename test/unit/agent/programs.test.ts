import {createHash} from 'node:crypto'
import {chmod, mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {Programs, trialBoots, trialMs} from '../../../src/agent/programs.ts'
import {isNewer} from '../../../src/contract/version.ts'
import {execOk} from '../../../src/platform/exec.ts'
import {ensurePrivateDirectory} from '../../../src/platform/files.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

/** A program of that version that says so, packed. */
async function archiveOf(version: string, says = version) {
  const folder = await temporaryDirectory()
  await mkdir(join(folder, 'gpuctl', 'bin'), {recursive: true})
  const text = `console.log('gpuctl/${says} linux-x64')`
  await writeFile(join(folder, 'gpuctl', 'bin', 'run.js'), text)
  const archive = join(folder, 'archive.tar.gz')
  await execOk('tar', ['-czf', archive, '-C', folder, 'gpuctl'])
  const content = await readFile(archive)
  const sha256 = createHash('sha256').update(content).digest('hex')
  return {content, part: {version, sha256, sizeBytes: content.length, attempt: 'task-1'}}
}

async function* once(content: Uint8Array) {
  yield content
}

async function machine() {
  const directory = join(await temporaryDirectory(), 'agent')
  await ensurePrivateDirectory(directory)
  let nowMs = 1_000_000
  const programs = new Programs({directory, now: () => nowMs})
  const receive = async (version: string, {own = '1.0.0', change = {}, says = version} = {}) => {
    const {content, part} = await archiveOf(version, says)
    await programs.receive({...part, ...change}, once(content), own)
  }
  const folder = join(directory, 'programs')
  const advance = (ms: number) => {
    nowMs += ms
  }
  return {programs, receive, folder, advance}
}

test('what was sent runs from the next start on, and stays when it is confirmed; the one before the last goes', async () => {
  const {programs, receive, folder} = await machine()
  expect(await programs.next('1.0.0')).toBeUndefined()

  await receive('1.1.0')
  expect(await programs.next('1.0.0')).toMatchObject({version: '1.1.0', path: join(folder, '1.1.0', 'bin', 'run.js')})
  await programs.confirm('1.1.0')
  expect(await programs.next('1.0.0')).not.toHaveProperty('untilMs')
  for (const [own, version] of [
    ['1.1.0', '1.2.0'],
    ['1.2.0', '1.3.0'],
  ] as const) {
    await receive(version, {own})
    expect(await programs.isSettled(version)).toBe(false)
    await programs.confirm(version)
  }

  expect((await readdir(folder)).sort()).toEqual(['1.2.0', '1.3.0', 'state.json'])
  expect(await programs.next('1.0.0')).toMatchObject({version: '1.3.0'})
  expect(await programs.next('1.3.0'), 'the same or a newer one was installed by hand').toBeUndefined()
  expect(await readdir(folder)).toEqual(['state.json'])
})

test('one that ends again and again, or that nobody confirms in time, gives way to the former one', async () => {
  const {programs, receive, folder, advance} = await machine()
  await receive('1.1.0')
  await programs.confirm('1.1.0')

  await receive('1.2.0', {own: '1.1.0'})
  for (let boot = 0; boot < trialBoots; boot++)
    expect(await programs.next('1.0.0')).toMatchObject({version: '1.2.0', untilMs: expect.any(Number)})
  expect(await programs.next('1.0.0')).toMatchObject({version: '1.1.0'})
  expect((await programs.describe('1.1.0')).failed).toMatchObject({version: '1.2.0', attempt: 'task-1'})
  await expect(programs.confirm('1.2.0')).rejects.toThrow('not what runs here')

  await receive('1.3.0', {own: '1.1.0'})
  expect((await programs.describe('1.1.0')).failed, 'a new attempt').toBeNull()
  expect(await programs.next('1.0.0')).toMatchObject({version: '1.3.0'})
  advance(trialMs)
  expect(await programs.next('1.0.0')).toMatchObject({version: '1.1.0'})
  expect((await programs.describe('1.1.0')).failed?.reason).toContain('not confirmed it within 90 s')
  expect(await readdir(folder)).not.toContain('1.3.0')
})

test('nothing is taken that is older, other than it should be, or says that it is another version', async () => {
  const {programs, receive, folder} = await machine()

  await expect(receive('0.9.0')).rejects.toThrow('1.0.0 runs here; 0.9.0 is not newer.')
  await expect(receive('../1')).rejects.toThrow('"../1" is no version.')
  await expect(receive('1.1.0', {change: {sha256: '0'.repeat(64)}})).rejects.toThrow('its checksum is another one')
  await expect(receive('1.1.0', {change: {sizeBytes: 10}})).rejects.toThrow('More than 10 bytes came.')
  await expect(receive('1.1.0', {change: {sizeBytes: 10 ** 9}})).rejects.toThrow('are no program')
  await expect(receive('1.1.0', {says: '1.0.0'})).rejects.toThrow('It says that it is gpuctl/1.0.0')
  expect(await readdir(folder)).toEqual([])
  expect(await programs.next('1.0.0')).toBeUndefined()
})

test('what an agent left that was killed goes; a state that is damaged or gone is the installed program', async () => {
  const {programs, receive, folder} = await machine()
  await receive('1.1.0')
  await mkdir(join(folder, '.unpack-abc123'))
  await writeFile(join(folder, '.state.json.0123456789ab.tmp'), '{')
  await programs.confirm('1.1.0')
  expect((await readdir(folder)).sort()).toEqual(['1.1.0', 'state.json'])

  await writeFile(join(folder, 'state.json'), '{"current":"1.1')
  expect(await programs.next('1.0.0')).toBeUndefined()
  await chmod(join(folder, 'state.json'), 0o644)
  await expect(programs.next('1.0.0'), 'others may have written it').rejects.toThrow('open to other users')
})

test('versions are compared by their numbers', () => {
  const newer: [string, string][] = [
    ['0.10.0', '0.9.9'],
    ['1.0.0', '1.0.0-rc.1'],
    ['1.0.0-rc.10', '1.0.0-rc.9'],
    ['2.0.0-a', '1.9.9'],
  ]
  for (const [one, other] of newer) expect([isNewer(one, other), isNewer(other, one)], one).toEqual([true, false])
  for (const text of ['', 'x', '1.0', '1.0.0/..', '1.0.0 ']) expect(isNewer(text, '0.0.1')).toBe(false)
  expect(isNewer('1.0.0', '1.0.0')).toBe(false)
})
