import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {readPlace} from '../../src/cli/copy/place.ts'
import {DetachWatch, readDetachKeys} from '../../src/cli/detach-keys.ts'
import {prefixes} from '../../src/cli/log-prefix.ts'
import {readPortPair} from '../../src/cli/port-forward.ts'

test.each([
  ['train:/data/a', {kind: 'instance', instance: 'train', path: '/data/a'}],
  ['train:a', {kind: 'instance', instance: 'train', path: '/a'}],
  ['./a:b', {kind: 'local', path: './a:b'}],
  ['/a:b', {kind: 'local', path: '/a:b'}],
  ['plain', {kind: 'local', path: 'plain'}],
  ['-', {kind: 'stream'}],
])('%s is one end of a copy', (text, place) => expect(readPlace(text)).toEqual(place))

test.each([':/a', 'train:'])('%s is no end of a copy', text => expect(() => readPlace(text)).toThrow('which'))

test.each([
  ['8888', {local: 8888, remote: 8888}],
  ['9000:8888', {local: 9000, remote: 8888}],
  [':80', {local: 0, remote: 80}],
  ['0:80', {local: 0, remote: 80}],
])('%s is a pair of ports', (text, pair) => expect(readPortPair(text)).toEqual(pair))

test.each(['0', '70000', '80:', 'a:80', '1:2:3', '-1'])('%s is no pair of ports', text =>
  expect(() => readPortPair(text)).toThrow('is not a port'),
)

describe('detach keys', () => {
  const keys = readDetachKeys('ctrl-p,ctrl-q')

  test('are found in whatever pieces they are typed; what is before them goes on', () => {
    const watch = new DetachWatch(keys)

    expect(watch.read(Buffer.from('ls\x10'))).toEqual({pass: Buffer.from('ls'), hasLeft: false})
    expect(watch.read(Buffer.from('x\x10\x10'))).toEqual({pass: Buffer.from('\x10x\x10'), hasLeft: false})
    expect(watch.read(Buffer.from('\x11rest'))).toEqual({pass: Buffer.from(''), hasLeft: true})
  })

  test('lose no byte of what is typed without them, and none are watched for where none are wanted', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({maxLength: 20})), pieces => {
        const typed = Buffer.concat(pieces)
        fc.pre(!typed.includes(Buffer.from([16, 17])))
        const watch = new DetachWatch(keys)
        const passed = Buffer.concat(pieces.map(piece => watch.read(piece).pass))
        const held = typed.at(-1) === 16 ? 1 : 0
        expect(passed).toEqual(typed.subarray(0, typed.length - held))
        expect(Buffer.concat(pieces.map(piece => new DetachWatch([]).read(piece).pass))).toEqual(typed)
      }),
    )
  })

  test('that are none are refused', () => expect(() => readDetachKeys('hyper-x')).toThrow('is not a key'))
})

test('T27: the name before a line holds nothing that a terminal acts upon', () => {
  expect(prefixes(['a', 'lo\x1b[31mng\u202e'], false)).toEqual(['a    | ', 'long | '])
  expect(prefixes(['a', 'b'], true)).toEqual(['\x1b[36ma | \x1b[0m', '\x1b[35mb | \x1b[0m'])
})
