import {chmod, statfs} from 'node:fs/promises'
import {createServer} from 'node:net'
import {dirname} from 'node:path'
import type {Diagnosis} from '../contract/finding.ts'
import {systemClock} from '../platform/clock.ts'
import {type Exec, ExecError} from '../platform/exec.ts'
import {ExposedPath, refuseIfExposed} from '../platform/files.ts'

const gib = 2 ** 30
const disk = {warnBytes: 5 * gib, errorBytes: gib, warnShare: 0.1}

export function ok(check: string, message: string): Diagnosis {
  return {check, level: 'ok', message, fix: ''}
}

/** A folder with keys: there, and nobody else's to read. */
export async function checkFolder(path: string): Promise<Diagnosis> {
  const check = 'folder'
  try {
    if (await refuseIfExposed(path)) return ok(check, `${path} is there, for its owner alone.`)
    return ok(check, `${path} is not there yet; the first start makes it.`)
  } catch (error) {
    if (!(error instanceof ExposedPath)) return {check, level: 'error', message: (error as Error).message, fix: ''}
    const canMend = /Run: chmod/.test(error.message)
    const [message, fix = ''] = error.message.split(' Run: ')
    const repair = canMend ? () => chmod(path, 0o700) : undefined
    return {check, level: 'error', message: message ?? '', fix: fix && `Run \`${fix}\`.`, repair}
  }
}

/** Room where the folder is, or will be. */
export async function checkDisk(path: string): Promise<Diagnosis> {
  for (let at = path; ; at = dirname(at)) {
    const found = await statfs(at).catch(() => undefined)
    if (!found && at !== dirname(at)) continue
    if (!found) return {check: 'disk', level: 'warn', message: `The room at ${path} is not known.`, fix: ''}
    const free = found.bavail * found.bsize
    const share = found.blocks === 0 ? 1 : found.bavail / found.blocks
    const message = `${(free / gib).toFixed(1)} GiB are free at ${at} (${Math.round(share * 100)} %).`
    if (free >= disk.warnBytes && share >= disk.warnShare) return ok('disk', message)
    const level = free < disk.errorBytes ? 'error' : 'warn'
    return {check: 'disk', level, message, fix: 'Make room, or use another folder with --data.'}
  }
}

/** Whether this machine's clock is kept right. */
export async function checkTimeService(exec: Exec): Promise<Diagnosis> {
  const check = 'clock'
  const fix = 'Switch it on: `timedatectl set-ntp true`.'
  try {
    const {stdout, code} = await exec('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'], {timeoutMs: 3_000})
    if (code === 0 && stdout.trim() === 'yes') return ok(check, 'The clock is kept by NTP.')
    if (code === 0 && stdout.trim() === 'no')
      return {check, level: 'warn', message: 'The clock is not kept by NTP.', fix}
  } catch (error) {
    if (!(error instanceof ExecError)) throw error
  }
  return ok(check, 'Nothing here tells whether the clock is kept by NTP.')
}

export async function checkDocker(level: 'warn' | 'error'): Promise<Diagnosis> {
  const {runtimeDrivers} = await import('../runtime/registry.ts')
  const driver = await runtimeDrivers.docker({serverId: '', stateDirectory: '', clock: systemClock})
  try {
    const reason = await driver.unavailable()
    if (reason === undefined) return ok('Docker', 'The engine answers.')
    const fix = 'Start it (`systemctl start docker`), join its group, or name its socket by DOCKER_HOST=unix://….'
    return {check: 'Docker', level, message: `No Docker Engine answers: ${reason}`, fix}
  } finally {
    await driver.close()
  }
}

/** Whether the address could be listened at now. */
export async function checkAddress(check: string, host: string, port: number, fix: string): Promise<Diagnosis> {
  const server = createServer()
  const code = await new Promise<string | undefined>(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({host, port, exclusive: true}, () => resolve(undefined))
  })
  await new Promise<void>(resolve => server.close(() => resolve()))
  if (code === undefined) return ok(check, `${host}:${port} is free.`)
  const words: Record<string, string> = {
    EADDRINUSE: 'is taken by another program',
    EACCES: 'may not be used by this user',
    EADDRNOTAVAIL: 'is not an address of this machine',
  }
  return {check, level: 'error', message: `${host}:${port} ${words[code] ?? code}.`, fix}
}
