import {execFileSync} from 'node:child_process'
import {mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {Readable} from 'node:stream'
import {text} from 'node:stream/consumers'
import {expect, test} from 'vitest'
import {readTar, TarError} from '../../../src/contract/tar.ts'
import {tarFile, tarOf, unpacked} from '../../support/tar.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

const longName = `${'long/'.repeat(40)}näme.txt`

test('what is written is read again, in pieces of any size', async () => {
  const files = [
    tarFile('a', '', {kind: 'folder'}),
    tarFile('a/one.txt', 'x'.repeat(1300), {mode: 0o4755, uid: 1000, gid: 100}),
    tarFile(`a/${longName}`, 'long'),
    tarFile('a/to', '', {kind: 'link', linkTarget: longName}),
    tarFile('a/empty'),
  ]
  const whole = Buffer.from(await new Response(Readable.toWeb(tarOf(...files)) as ReadableStream).arrayBuffer())

  for (const size of [1, 7, 512, 100_000]) {
    const pieces = Array.from({length: Math.ceil(whole.length / size)}, (_, at) =>
      whole.subarray(at * size, (at + 1) * size),
    )
    const found = await unpacked(Readable.from(pieces))
    expect(found).toEqual(files.map(({entry, content}) => ({...entry, text: content.toString()})))
  }
})

test("GNU tar reads ours, and we read GNU tar's in each of its formats", async () => {
  const folder = await temporaryDirectory('gpuctl-tar-')
  const archive = Buffer.from(
    await new Response(
      Readable.toWeb(tarOf(tarFile('one.sh', 'hello', {mode: 0o750}), tarFile(longName, 'long'))) as ReadableStream,
    ).arrayBuffer(),
  )
  execFileSync('tar', ['-C', folder, '-xpf', '-'], {input: archive})
  expect(readFileSync(join(folder, longName), 'utf8')).toBe('long')
  expect(statSync(join(folder, 'one.sh')).mode & 0o777).toBe(0o750)

  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in', `${'n'.repeat(180)}.txt`), 'x'.repeat(2000))
  symlinkSync('t'.repeat(150), join(folder, 'in', 'link'))
  for (const format of ['gnu', 'pax', 'ustar']) {
    if (format === 'ustar') execFileSync('rm', ['-r', join(folder, 'in')])
    if (format === 'ustar') mkdirSync(join(folder, 'in', 'd'.repeat(90)), {recursive: true})
    if (format === 'ustar') writeFileSync(join(folder, 'in', 'd'.repeat(90), 'file'), 'prefix')
    const made = execFileSync('tar', ['-C', folder, `--format=${format}`, '-cf', '-', 'in'])
    const found = await unpacked(Readable.from([made]))
    const names = found.map(({path, linkTarget, text}) => `${path}→${linkTarget}:${text.length}`).sort()
    if (format === 'ustar') expect(names).toContain(`in/${'d'.repeat(90)}/file→:6`)
    else expect(names).toEqual(['in→:0', `in/${'n'.repeat(180)}.txt→:2000`, `in/link→${'t'.repeat(150)}:0`].sort())
  }
})

test('what is cut off or no tar at all is told', async () => {
  const cut = tarOf(tarFile('a', 'x'.repeat(5000)))
  const bytes = Buffer.from(await text(cut)).subarray(0, 3000)

  await expect(unpacked(Readable.from([bytes]))).rejects.toThrow(TarError)
  await expect(unpacked(Readable.from([Buffer.alloc(600, 'x')]))).rejects.toThrow('not a tar')
})

test('what a reader leaves of one entry is skipped', async () => {
  const names: string[] = []
  for await (const {entry} of readTar(tarOf(tarFile('a', 'x'.repeat(5000)), tarFile('b', 'y')))) names.push(entry.path)

  expect(names).toEqual(['a', 'b'])
})
