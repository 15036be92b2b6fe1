import {createHash} from 'node:crypto'
import type {Row} from './sql.ts'

/** A place in the chain: a row's number and its hash, 64 hex digits. */
export interface Link {
  number: number
  hash: string
}

/** A row of the audit as it lies in the store. */
export interface ChainedRow extends Link {
  prevHash: string
  at: string
  actor: string
  action: string
  object: string
  requestId: string
  /** JSON, byte for byte as it is kept. */
  details: string
}

/** What is wrong with the chain, and the first row at which it shows. */
export interface ChainFault {
  number: number
  fault: 'edited' | 'replaced' | 'missing' | 'added'
}

/** What stands before the first row. */
export const beginning: Link = {number: 0, hash: '0'.repeat(64)}

/** SHA-256 over all that the row says, its number, and the hash of the row before it. */
export function hashOf(row: Omit<ChainedRow, 'hash'>): string {
  const {number, prevHash, at, actor, action, object, requestId, details} = row
  return createHash('sha256')
    .update(JSON.stringify([number, prevHash, at, actor, action, object, requestId, details]))
    .digest('hex')
}

/** Walks rows that follow `from`, in the order of their numbers. Answers how far they are as they were written. */
export function walk(from: Link, rows: Iterable<ChainedRow>): {at: Link; fault?: ChainFault} {
  let at = from
  for (const row of rows) {
    if (row.number !== at.number + 1) return {at, fault: {number: at.number + 1, fault: 'missing'}}
    if (row.hash !== hashOf(row)) return {at, fault: {number: row.number, fault: 'edited'}}
    // Each row by itself is whole: the one before was written anew, with a hash to fit.
    if (row.prevHash !== at.hash) return {at, fault: {number: Math.max(at.number, 1), fault: 'replaced'}}
    at = {number: row.number, hash: row.hash}
  }
  return {at}
}

/** What a row says, without its place in the chain. */
export type Content = Omit<ChainedRow, 'number' | 'prevHash' | 'hash'>

export function rowFrom(row: Row): ChainedRow {
  const place = {number: row.number as number, prevHash: row.prev_hash as string, hash: row.hash as string}
  return {...place, ...contentFrom(row)}
}

export function contentFrom(row: Row): Content {
  return {
    at: row.at as string,
    actor: row.actor as string,
    action: row.action as string,
    object: row.object as string,
    requestId: row.request_id as string,
    details: row.details as string,
  }
}

/** The text as both stores give it back: no NUL, no half characters. */
export function storable(text: string): string {
  const whole = /[\ud800-\udfff]/.test(text) ? Buffer.from(text).toString() : text
  return whole.includes('\0') ? whole.replaceAll('\0', '\uFFFD') : whole
}
