import {execFile} from 'node:child_process'
import {chmod, stat} from 'node:fs/promises'
import {connect as connectTcp} from 'node:net'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {ApiError, UnreachableError} from '../../client/api-error.ts'
import type {Client} from '../../client/client.ts'
import type {Target} from '../../client/message.ts'
import {readText} from '../../client/transport.ts'
import type {Diagnosis} from '../../contract/finding.ts'
import {apiPrefix} from '../../contract/routes.ts'
import type {FleetStatus} from '../../contract/schemas/server.ts'
import {span} from '../output/figures.ts'
import {skewOf} from '../version-skew.ts'

const limits = {
  clockWarnMs: 5_000,
  clockErrorMs: 60_000,
  certificateWarnMs: 21 * 86_400_000,
  tokenWarnMs: 3 * 86_400_000,
}
const waitMs = 3_000

/** Files with secrets that others can read. */
export async function checkFiles(directory: string): Promise<Diagnosis[]> {
  const places = [
    {path: directory, wanted: 0o700},
    {path: join(directory, 'credentials.json'), wanted: 0o600},
    {path: join(directory, 'config.yml'), wanted: 0o600},
  ]
  const found = await Promise.all(
    places.map(async ({path, wanted}): Promise<Diagnosis | undefined> => {
      const mode = (await stat(path).catch(() => undefined))?.mode
      if (mode === undefined || process.platform === 'win32') return undefined
      const isSecret = path.endsWith('credentials.json')
      if ((mode & 0o077) === 0 || (!isSecret && (mode & 0o022) === 0)) return undefined
      const modeWord = (mode & 0o777).toString(8).padStart(4, '0')
      return {
        check: 'files',
        level: isSecret ? 'error' : 'warn',
        message: `${path} is open to other users (mode ${modeWord}).`,
        fix: `Run \`chmod ${wanted.toString(8)} ${path}\`${isSecret ? ', then log in again: the token may be known' : ''}.`,
        repair: () => chmod(path, wanted),
      }
    }),
  )
  const bad = found.filter(one => one !== undefined)
  return bad.length > 0 ? bad : [ok('files', `${directory} is yours alone.`)]
}

export async function checkKeyring(): Promise<Diagnosis> {
  const instead = 'Tokens are kept in a file that only you read; that is the normal way without a desktop.'
  let timer: NodeJS.Timeout | undefined
  try {
    const {getPassword} = await import('keytar/keytar.js')
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('it does not answer')), waitMs)
    })
    await Promise.race([getPassword('gpuctl', 'doctor'), tooLate])
    return ok('keyring', 'The keyring of this system answers.')
  } catch (error) {
    return {check: 'keyring', level: 'ok', message: `No keyring here: ${(error as Error).message}. ${instead}`, fix: ''}
  } finally {
    clearTimeout(timer)
  }
}

/** Whether the server answers, its version, its clock and its certificate. */
export async function checkServer(
  client: Client,
  ownVersion: string,
): Promise<{reached: boolean; diagnoses: Diagnosis[]}> {
  const target = await client.target()
  const sentAt = Date.now()
  try {
    const answer = await client.open({method: 'GET', path: `${apiPrefix}/version`, timeoutMs: 10_000})
    const tookMs = Date.now() - sentAt
    const {date} = answer.headers
    const {version, api} = JSON.parse(await readText(target, answer)) as {version: string; api: string}
    const reached = ok('server', `${target.server} answers in ${tookMs} ms.`)
    const tls = await checkTls(target)
    return {
      reached: true,
      diagnoses: [reached, tls, versionOf(ownVersion, version, api), clockOf(date, sentAt, tookMs)],
    }
  } catch (error) {
    const {message, hint = ''} = error as Error & {hint?: string}
    const isTls = error instanceof UnreachableError && error.code === 'tls_failed'
    return {reached: false, diagnoses: [{check: isTls ? 'TLS' : 'server', level: 'error', message, fix: hint}]}
  }
}

function versionOf(own: string, version: string, api: string): Diagnosis {
  const spoken = apiPrefix.split('/').at(-1) ?? ''
  if (api !== spoken) {
    const fix = 'Use the gpuctl that belongs to the server: install its version.'
    return {check: 'version', level: 'error', message: `The server speaks API ${api}, this program ${spoken}.`, fix}
  }
  const skew = skewOf({own, server: version})
  if (skew === 'none') return ok('version', `Server ${version}, this program ${own}.`)
  const fix = 'Bring the older of the two to the version of the other.'
  const level = skew === 'major' ? 'error' : 'warn'
  return {check: 'version', level, message: `The server is ${version}, this program ${own}.`, fix}
}

/** By the server's Date header, whose step is a second. */
export function clockOf(date: string | undefined, sentAt: number, tookMs: number): Diagnosis {
  const theirs = Date.parse(date ?? '')
  if (Number.isNaN(theirs))
    return {check: 'clock', level: 'warn', message: 'The server does not say its time.', fix: ''}
  const offMs = Math.max(0, Math.abs(theirs + 500 - (sentAt + tookMs / 2)) - 500 - tookMs / 2)
  if (offMs < limits.clockWarnMs) return ok('clock', 'The clocks here and of the server agree.')
  const level = offMs < limits.clockErrorMs ? 'warn' : 'error'
  const word = theirs > sentAt ? 'behind' : 'before'
  const message = `The clock here is ${span(offMs)} ${word} that of the server.`
  return {check: 'clock', level, message, fix: 'Let both keep time by NTP: `timedatectl set-ntp true`.'}
}

async function checkTls({server, ca}: Target): Promise<Diagnosis> {
  const url = new URL(server)
  const isLocal = /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname)
  if (url.protocol === 'http:') {
    if (isLocal) return ok('TLS', 'None, and none is needed on this machine.')
    const fix = 'Start the server with --tls-cert and --tls-key, and log in with https://.'
    return {check: 'TLS', level: 'warn', message: `${server} is not encrypted: others on the way see your token.`, fix}
  }
  const {connect} = await import('node:tls')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const validTo = await new Promise<string>(resolve => {
    const name = /^[\d.]+$|:/.test(host) ? {} : {servername: host}
    // Only read: whether it is trusted, or the pinned one, the call before has proved.
    const socket = connect({host, port: Number(url.port || 443), ca, rejectUnauthorized: false, ...name}, () => {
      resolve(socket.getPeerCertificate().valid_to)
      socket.destroy()
    })
    socket.setTimeout(waitMs, () => socket.destroy())
    socket.once('close', () => resolve(''))
    socket.once('error', () => resolve(''))
  })
  const leftMs = Date.parse(validTo) - Date.now()
  if (Number.isNaN(leftMs)) return {check: 'TLS', level: 'warn', message: 'The certificate could not be read.', fix: ''}
  if (leftMs > limits.certificateWarnMs) return ok('TLS', `The certificate is trusted, and valid for ${span(leftMs)}.`)
  const fix = 'Renew the certificate of the server.'
  return {check: 'TLS', level: 'warn', message: `The certificate ends in ${span(leftMs)}.`, fix}
}

export async function checkLogin(client: Client): Promise<Diagnosis> {
  try {
    const {username, role, expiresAt} = await client.call('auth.whoami', {})
    const leftMs = expiresAt === null ? Infinity : Date.parse(expiresAt) - Date.now()
    if (leftMs > limits.tokenWarnMs) return ok('login', `You are ${username} (${role}).`)
    return {check: 'login', level: 'warn', message: `Your login ends in ${span(leftMs)}.`, fix: 'Run `gpuctl login`.'}
  } catch (error) {
    const {message, hint = ''} = error as Error & {hint?: string}
    const level = error instanceof ApiError && error.code === 'login_required' ? 'warn' : 'error'
    return {check: 'login', level, message, fix: hint}
  }
}

/** OpenSSH here, and the way to the jump host. */
export async function checkSsh(client: Client, env: NodeJS.ProcessEnv): Promise<Diagnosis[]> {
  const program = env.GPUCTL_SSH || 'ssh'
  const version = await promisify(execFile)(program, ['-V'], {timeout: waitMs}).then(
    ({stdout, stderr}) => (stderr || stdout).trim(),
    () => undefined,
  )
  const own: Diagnosis = version
    ? ok('ssh', version)
    : {
        check: 'ssh',
        level: 'warn',
        message: `There is no ${program} here; gpuctl uses its own.`,
        fix: 'Install OpenSSH for cp, rsync and editors.',
      }
  const status: FleetStatus | undefined = await client.call('server.status', {}).catch(() => undefined)
  if (!status) return [own]
  if (!status.ssh)
    return [
      own,
      {
        check: 'jump host',
        level: 'warn',
        message: 'The server has no SSH jump host.',
        fix: 'Start it with --ssh-port 2026.',
      },
    ]
  const {host, port} = status.ssh
  const at = /^(0\.0\.0\.0|::)$/.test(host) ? new URL((await client.target()).server).hostname : host
  const isOpen = await opens(at, port)
  if (isOpen) return [own, ok('jump host', `${at}:${port} answers.`)]
  const message = `${at}:${port} cannot be reached; \`gpuctl ssh\` goes through the server's own port instead.`
  return [
    own,
    {check: 'jump host', level: 'warn', message, fix: 'Open that port in the firewall for plain ssh, scp and rsync.'},
  ]
}

function opens(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connectTcp({host, port, timeout: waitMs})
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket
      .once('connect', () => end(true))
      .once('error', () => end(false))
      .once('timeout', () => end(false))
  })
}

export function ok(check: string, message: string): Diagnosis {
  return {check, level: 'ok', message, fix: ''}
}
