import {createPrivateKey, X509Certificate} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {join} from 'node:path'
import type {Diagnosis} from '../contract/finding.ts'
import {exec} from '../platform/exec.ts'
import {storeTrouble} from '../store/check.ts'
import {checkAddress, checkDisk, checkDocker, checkFolder, checkTimeService, ok} from './host-checks.ts'
import {serverDirectory} from './local-fleet.ts'
import {readRunFile} from './run-file.ts'
import {readServerFlags, type ServerFlags} from './server-options.ts'

const certificateWarnMs = 21 * 86_400_000

/** What a control server needs on this machine, whether one runs or not. Nothing is changed. */
export async function examineServer(flags: ServerFlags): Promise<Diagnosis[]> {
  const directory = serverDirectory(flags.data)
  const run = await readRunFile(directory)
  const running = run
    ? ok('server', `It runs: pid ${run.pid}, version ${run.version}, at ${run.urls.join(', ')}.`)
    : ok('server', 'None runs here; what follows is what a start would meet.')
  const checks: Promise<Diagnosis | Diagnosis[]>[] = [
    checkFolder(directory),
    checkStore(flags.database ?? join(directory, 'server.db')),
    checkDisk(directory),
    run ? Promise.resolve(ok('ports', 'The server holds its own.')) : checkPorts(flags),
    checkCertificate(flags),
    checkTimeService(exec),
    Promise.resolve(checkSshBinding()),
    checkDocker('warn'),
  ]
  return [running, ...(await Promise.all(checks)).flat()]
}

async function checkStore(at: string): Promise<Diagnosis> {
  const isPostgres = /^postgres(ql)?:/.test(at)
  const name = isPostgres ? 'PostgreSQL' : at
  const trouble = await storeTrouble(at)
  if (trouble === undefined)
    return ok('database', isPostgres ? 'PostgreSQL answers.' : `${name} is sound, or will be made.`)
  const fix = isPostgres
    ? 'Check GPUCTL_DATABASE_URL, and that PostgreSQL runs and lets this machine in.'
    : 'Stop the server, and bring a backup of that file back; keep the damaged one.'
  return {check: 'database', level: 'error', message: `${name}: ${trouble}`, fix}
}

async function checkPorts(flags: ServerFlags): Promise<Diagnosis[]> {
  try {
    const {addresses} = await readServerFlags({...flags, tlsCert: undefined, tlsKey: undefined})
    const api = addresses.map(({host, port}) =>
      checkAddress('ports', host, port, 'Choose another one with --listen HOST:PORT, or end the other program.'),
    )
    const [first] = addresses
    const ssh =
      flags.sshPort && first
        ? [checkAddress('ports', first.host, flags.sshPort, 'Choose another one with --ssh-port, or 0 for none.')]
        : []
    return await Promise.all([...api, ...ssh])
  } catch (error) {
    return [{check: 'ports', level: 'error', message: (error as Error).message, fix: ''}]
  }
}

async function checkCertificate({tlsCert, tlsKey, listen}: ServerFlags): Promise<Diagnosis> {
  if (!tlsCert && !tlsKey) {
    const isOpen = listen !== undefined && !/^(127\.|localhost|\[::1\]|:?\d+$)/.test(listen)
    if (!isOpen) return ok('TLS', 'None is asked for, and none is needed on this machine.')
    const fix = 'Give --tls-cert and --tls-key.'
    return {check: 'TLS', level: 'warn', message: `${listen} can be reached from elsewhere, without encryption.`, fix}
  }
  try {
    await readServerFlags({listen, tlsCert, tlsKey})
    const [cert, key] = await Promise.all([readFile(tlsCert as string), readFile(tlsKey as string)])
    const certificate = new X509Certificate(cert)
    const fix = 'Give the certificate that belongs to the key, or make a new one.'
    if (!certificate.checkPrivateKey(createPrivateKey(key))) {
      return {check: 'TLS', level: 'error', message: `${tlsKey} is not the key of ${tlsCert}.`, fix}
    }
    const leftMs = Date.parse(certificate.validTo) - Date.now()
    const days = Math.floor(leftMs / 86_400_000)
    if (leftMs <= 0)
      return {check: 'TLS', level: 'error', message: `${tlsCert} ended on ${certificate.validTo}.`, fix: 'Renew it.'}
    if (leftMs > certificateWarnMs) return ok('TLS', `The certificate fits its key and is valid for ${days} days.`)
    return {check: 'TLS', level: 'warn', message: `${tlsCert} ends in ${days} days.`, fix: 'Renew it.'}
  } catch (error) {
    return {
      check: 'TLS',
      level: 'error',
      message: (error as Error).message,
      fix: 'Give --tls-cert and --tls-key as PEM files.',
    }
  }
}

/** ssh2 works without its compiled part, with the ciphers of Node: slower with ChaCha20, not less safe. */
function checkSshBinding(): Diagnosis {
  const require = createRequire(import.meta.url)
  try {
    const {bindingAvailable} = require('ssh2/lib/protocol/crypto.js') as {bindingAvailable: boolean}
    const part = bindingAvailable
      ? 'It has its compiled part.'
      : 'It works, without its compiled part: ChaCha20 is slower so.'
    return ok('ssh2', part)
  } catch (error) {
    const message = `It cannot be loaded: ${(error as Error).message}`
    return {check: 'ssh2', level: 'error', message, fix: 'Install gpuctl anew.'}
  }
}
