import {randomBytes} from 'node:crypto'
import {chmod, rm} from 'node:fs/promises'
import {hostname} from 'node:os'
import {ApiError} from '../../client/api-error.ts'
import type {Client} from '../../client/client.ts'
import {readIfThere, writePrivately} from '../private-file.ts'

const lifeSeconds = 12 * 3600
/** A key with less left is replaced. */
const leastLeftMs = 30 * 60 * 1000

/** Beside the private key: which one it is for the server, and until when. */
interface KeyNote {
  id: string
  user: string
  expiresAt: string
}

/**
 * A key of our own for the jump host: made here, known to the server for twelve hours, readable by its owner only.
 * Answers the path of the private key, which is there and valid.
 */
export async function ensureKey(client: Client, folder: string, user: string): Promise<string> {
  const path = `${folder}/id_ed25519`
  const note = await readNote(path)
  const isGood = note?.user === user && Date.parse(note.expiresAt) - Date.now() > leastLeftMs
  if (isGood && (await readIfThere(path)) && (await isKnown(client, note))) {
    await chmod(path, 0o600)
    return path
  }
  const {default: ssh2} = await import('ssh2')
  const name = `gpuctl-${hostname()
    .replace(/[^A-Za-z0-9]+/g, '-')
    .slice(0, 30)}-${randomBytes(4).toString('hex')}`
  const pair = ssh2.utils.generateKeyPairSync('ed25519', {comment: name})
  const {id, expiresAt} = await client.call('keys.create', {name, key: pair.public, ttlSeconds: lifeSeconds})
  await writePrivately(path, pair.private)
  await writePrivately(`${path}.pub`, `${pair.public}\n`)
  await writePrivately(`${path}.json`, JSON.stringify({id, user, expiresAt: expiresAt ?? ''} satisfies KeyNote))
  return path
}

/** Here and at the server. Nothing to do when there is none. */
export async function removeKey(client: Client, folder: string): Promise<void> {
  const path = `${folder}/id_ed25519`
  const note = await readNote(path)
  for (const name of [path, `${path}.pub`, `${path}.json`]) await rm(name, {force: true})
  if (!note) return
  await client.call('keys.delete', {id: note.id}).catch(error => {
    if (!(error instanceof ApiError) || error.code !== 'not_found') throw error
  })
}

async function readNote(path: string): Promise<KeyNote | undefined> {
  try {
    return JSON.parse((await readIfThere(`${path}.json`)) ?? 'null') ?? undefined
  } catch {
    return undefined // damaged: a new key is made
  }
}

async function isKnown(client: Client, {id}: KeyNote): Promise<boolean> {
  return (await client.call('keys.list', {})).some(key => key.id === id)
}
