import type {Pin, ShownCertificate} from '../client/tls.ts'
import type {Choice} from './context.ts'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {findProxy} from './find-proxy.ts'
import {confirm} from './prompt.ts'
import {canAsk} from './terminal.ts'

/**
 * By what the server is known from this login on (T28): undefined where an authority vouches for it. A certificate that
 * nobody vouches for is a person's to accept, after reading its fingerprint; without one it has to be given.
 */
export async function pinFor(
  {server, caCert, pin}: Choice,
  {fingerprint, mayAsk}: {fingerprint?: string; mayAsk: boolean},
): Promise<Pin | undefined> {
  if (!server.startsWith('https:')) {
    if (fingerprint === undefined) return undefined
    throw usageError(`--fingerprint: ${server} is not reached over https://.`)
  }
  const {readFingerprint, seeCertificate} = await import('../client/tls.ts')
  if (fingerprint !== undefined) {
    const wanted = readFingerprint(fingerprint)
    if (!wanted) throw usageError('--fingerprint is no SHA-256.', 'Give 64 hexadecimal digits, with or without colons.')
    const shown = await seeCertificate(server, await findProxy(server))
    if (shown.fingerprint !== wanted) throw another(server, 'wanted', wanted, shown)
    return keep(shown)
  }
  if (caCert !== undefined) return undefined
  const shown = await seeCertificate(server, await findProxy(server))
  if (pin) {
    if (shown.fingerprint !== pin.fingerprint) throw another(server, 'at the last login', pin.fingerprint, shown)
    return pin
  }
  if (shown.isTrusted) return undefined
  const seen = `${server} shows a certificate that no known authority vouches for:\n  SHA256:${shown.fingerprint}`
  if (!mayAsk || !canAsk()) {
    throw new Failure('certificate_unknown', seen, {
      hint: 'Compare it with `gpuctl server status` on the server, then give it as --fingerprint; or name the authority with --ca-cert FILE.',
      exitCode: exitCode.unreachable,
    })
  }
  process.stderr.write(`${seen}\nOn the server itself \`gpuctl server status\` shows what it should be.\n`)
  await confirm('Is it the same, and shall this server be known by it?', {yes: false, mayAsk})
  return keep(shown)
}

function keep({fingerprint, certificate}: ShownCertificate): Pin {
  return {fingerprint, certificate}
}

function another(server: string, when: string, wanted: string, {fingerprint}: ShownCertificate): Failure {
  const lines = [`${server} shows another certificate:`, `  ${when}  SHA256:${wanted}`, `  now  SHA256:${fingerprint}`]
  return new Failure('certificate_changed', lines.join('\n'), {
    hint: 'Nothing was sent: somebody may stand between, or it was renewed. If `gpuctl server status` on the server shows the second one, log in with it as --fingerprint.',
    exitCode: exitCode.unreachable,
    details: {wanted, shown: fingerprint},
  })
}
