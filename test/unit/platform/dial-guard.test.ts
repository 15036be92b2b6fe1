import {describe, expect, test} from 'vitest'
import {canonicalAddress, DialGuard, isLoopbackAddress} from '../../../src/platform/dial-guard.ts'

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::FFFF:7f00:1', '127.0.0.1'],
  ['0:0:0:0:0:ffff:c000:0202', '192.0.2.2'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['FD00:0:0::2', 'fd00::2'],
])('%s is %s in its one spelling', (text, address) => {
  expect(canonicalAddress(text)).toBe(address)
})

test.each([
  '',
  'localhost',
  '127.1',
  '0x7f.1',
  '2130706433',
  '0177.0.0.1',
  '１２７.0.0.1',
  '127.0.0.1 ',
  'fe80::1%eth0',
  '[::1]',
])('%j is no address', text => {
  expect(canonicalAddress(text)).toBeUndefined()
  expect(isLoopbackAddress(text)).toBe(false)
})

describe('a dial', () => {
  const guard = new DialGuard()
  guard.addOwnPorts([8888])

  test.each(['127.0.0.1', '::1', '::ffff:10.0.0.7', '192.0.2.2', 'fd00::2', '2001:db8::1'])('may go to %s', address => {
    expect(guard.checkDial(address, 5000)).toBe(canonicalAddress(address))
  })

  test.each([
    ...['0.0.0.0', '0.1.2.3', '169.254.169.254', '224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255', '192.0.0.8'],
    ...['::', '::127.0.0.1', '::2', '::ffff:0.0.0.0', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '::ffff:224.0.0.1'],
    ...[
      '64:ff9b::7f00:1',
      '64:ff9b:1::1',
      '100::1',
      '2002:7f00:1::',
      '2001::1',
      'fe80::1',
      'febf::1',
      'fec0::1',
      'ff02::1',
    ],
  ])('never goes to %s', address => {
    expect(guard.checkDial(address, 5000)).toBeUndefined()
  })

  test.each([0, 22, 1023, 8888, 65_536, 1.5])('never goes to port %d', port => {
    expect(guard.checkDial('127.0.0.1', port)).toBeUndefined()
  })
})

test('a machine may only name its own address, or one in a network that an administrator trusts', () => {
  const guard = new DialGuard({nodeCidrs: ['10.1.0.0/16', 'fd00:7::/32']})

  expect(guard.mayClaim('192.0.2.7', '::ffff:192.0.2.7')).toBe(true)
  expect(guard.mayClaim('192.0.2.8', '192.0.2.7')).toBe(false)
  expect(guard.mayClaim('10.1.2.3', '192.0.2.7')).toBe(true)
  expect(guard.mayClaim('fd00:7::9', '192.0.2.7')).toBe(true)
  expect(guard.mayClaim('10.2.0.1', '192.0.2.7')).toBe(false)
})

test('only this machine may name a loopback address', () => {
  const guard = new DialGuard({nodeCidrs: ['0.0.0.0/0', '::/0']})

  expect(guard.mayClaim('127.0.0.9', '127.0.0.1')).toBe(true)
  expect(guard.mayClaim('::1', '127.0.0.1')).toBe(true)
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1'])
    expect(guard.mayClaim(address, '192.0.2.7')).toBe(false)
})

test.each(['10.0.0.0', '10.0.0.0/33', 'fd00::/129', 'lan/8', ''])('%j is no network', text => {
  expect(() => new DialGuard({nodeCidrs: [text]})).toThrow(RangeError)
})
