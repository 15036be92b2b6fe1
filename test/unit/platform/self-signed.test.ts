import {X509Certificate} from 'node:crypto'
import {expect, test} from 'vitest'
import {makeSelfSigned} from '../../../src/platform/self-signed.ts'

test('a certificate signs itself, names its hosts, lasts as long as asked, and never twice the same', () => {
  const options = {names: ['gpu.example.org', '10.0.0.5', 'fd00::1:2'], fromMs: Date.UTC(2026, 0, 1), years: 30}
  const {cert} = makeSelfSigned(options)
  const read = new X509Certificate(cert)

  expect(read.verify(read.publicKey)).toBe(true)
  expect(read.subject).toBe('CN=gpuctl')
  expect(read.ca).toBe(false)
  expect(read.checkHost('gpu.example.org')).toBe('gpu.example.org')
  expect(read.checkIP('10.0.0.5')).toBe('10.0.0.5')
  expect(read.checkIP('fd00::1:2')).toBe('fd00::1:2')
  expect(read.checkHost('other.example.org')).toBeUndefined()
  expect([read.validFrom, read.validTo]).toEqual(['Jan  1 00:00:00 2026 GMT', 'Jan  1 00:00:00 2056 GMT'])
  expect(read.publicKey.asymmetricKeyDetails).toMatchObject({namedCurve: 'prime256v1'})
  const serials = Array.from({length: 50}, () => new X509Certificate(makeSelfSigned(options).cert).serialNumber)
  expect(new Set(serials).size).toBe(50)
})
