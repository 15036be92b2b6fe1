import {createHash, randomUUID} from 'node:crypto'
import {createServer, type IncomingMessage} from 'node:http'
import type {AddressInfo} from 'node:net'
import {loadSqlite} from '../../../src/store/sqlite-driver.ts'
import {serveJobs} from '../worker-process.ts'

export interface RawClaimsJob {
  /** Path of the SQLite file to make. */
  file: string
  /** `group`: requests that arrive together share a commit; `single`: each has its own. */
  commits: 'group' | 'single'
}

const mostPerCommit = 256

/**
 * What a durable submit costs at least: plain node:http, JSON.parse, one token hash, and the same number of rows (claim,
 * instance, event, audit, idempotency key) into SQLite with synchronous=FULL. No checks, no rules.
 */
serveJobs<RawClaimsJob, {port: number}>(async ({file, commits}) => {
  const DatabaseSync = await loadSqlite()
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE claims (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, spec TEXT NOT NULL, body TEXT NOT NULL);
    CREATE TABLE instances (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, claim_id TEXT NOT NULL, body TEXT NOT NULL);
    CREATE TABLE events (number INTEGER PRIMARY KEY, object_id TEXT NOT NULL, message TEXT NOT NULL);
    CREATE TABLE audit (number INTEGER PRIMARY KEY, object TEXT NOT NULL, details TEXT NOT NULL);
    CREATE TABLE idempotency (key TEXT PRIMARY KEY, body_hash TEXT NOT NULL, result_id TEXT NOT NULL)`)
  const insert = {
    claim: database.prepare('INSERT INTO claims (id, spec, body) VALUES (?, ?, ?)'),
    instance: database.prepare('INSERT INTO instances (id, claim_id, body) VALUES (?, ?, ?)'),
    event: database.prepare('INSERT INTO events (object_id, message) VALUES (?, ?)'),
    audit: database.prepare('INSERT INTO audit (object, details) VALUES (?, ?)'),
    key: database.prepare('INSERT INTO idempotency VALUES (?, ?, ?)'),
  }
  const waiting: {spec: string; key: string; done: (text: string) => void}[] = []
  const commit = () => {
    const group = waiting.splice(0, commits === 'group' ? mostPerCommit : 1)
    database.exec('BEGIN IMMEDIATE')
    const answers = group.map(({spec, key}) => {
      const claimId = randomUUID()
      const instanceId = randomUUID()
      const claim = JSON.stringify({id: claimId, instanceId, phase: 'Pending', createdAt: new Date().toISOString()})
      insert.claim.run(claimId, spec, claim)
      insert.instance.run(instanceId, claimId, claim)
      insert.event.run(claimId, 'submitted')
      insert.audit.run(claimId, spec)
      insert.key.run(key, createHash('sha256').update(spec).digest('hex'), claimId)
      return claim
    })
    database.exec('COMMIT')
    group.forEach(({done}, index) => {
      done(answers[index]!)
    })
    if (waiting.length > 0) setImmediate(commit)
  }
  const known = new Set<string>()
  const server = createServer(async (request, response) => {
    known.add(
      createHash('sha256')
        .update(request.headers.authorization ?? '')
        .digest('hex'),
    )
    const spec = JSON.stringify(JSON.parse(await readBody(request)))
    if (waiting.length === 0) setImmediate(commit)
    waiting.push({
      spec,
      key: String(request.headers['idempotency-key']),
      done: text =>
        response
          .writeHead(202, {'content-type': 'application/json', 'content-length': Buffer.byteLength(text)})
          .end(text),
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {port: (server.address() as AddressInfo).port}
})

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    request.on('data', piece => pieces.push(piece))
    request.once('end', () => resolve(Buffer.concat(pieces).toString()))
    request.once('error', reject)
  })
}
