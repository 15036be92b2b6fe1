import {createHash} from 'node:crypto'
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs'
import {type AddressInfo, connect, createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {Transform} from 'node:stream'
import {bucket, unfinishedUploads} from '../../support/s3.ts'

/** Where a trial's backups lie, looked at past all of our code. */
export interface BackupPlace {
  name: string
  /** Of the site's page: enough that a file is not written, read or unpacked before it can be hit. */
  pageBytes: number
  /** Makes it; resolves to what the server is told of it. */
  open(): Promise<object>
  /** Names of all files, also of what is half done. */
  files(): Promise<string[]>
  /** SHA-256 of a file. */
  digest(filename: string): Promise<string>
  tidy(): void
}

const mebibyte = 2 ** 20
const requestMs = 150

export function folderPlace(): BackupPlace {
  let path = ''
  return {
    name: 'a folder',
    pageBytes: 8 * mebibyte,
    async open() {
      path = mkdtempSync(join(tmpdir(), 'gpuctl-target-'))
      return {type: 'directory', path}
    },
    files: async () => readdirSync(path),
    digest: async filename => sha256(readFileSync(join(path, filename))),
    tidy() {
      if (path) rmSync(path, {recursive: true, force: true})
    },
  }
}

/** A bucket of a real S3 server, into which each file goes in three parts. */
export function bucketPlace(): BackupPlace {
  const prefix = 'kills/'
  let opened: ReturnType<typeof bucket> | undefined
  const s3 = async () => {
    opened ??= bucket()
    return (await opened).s3
  }
  return {
    name: 's3',
    pageBytes: 40 * mebibyte,
    async open() {
      await s3()
      const access = (await opened)?.access
      return {...access, endpoint: await slowly(new URL(access?.endpoint ?? '')), prefix}
    },
    async files() {
      const objects = (await (await s3()).listObjects()) ?? []
      const uploads = await unfinishedUploads(await s3())
      return [...objects.map(({Key}) => Key.slice(prefix.length)), ...uploads.map(key => `parts of ${key}`)]
    },
    async digest(filename) {
      return sha256(new Uint8Array((await (await s3()).getObjectArrayBuffer(prefix + filename)) ?? new ArrayBuffer()))
    },
    tidy() {}, // it ends with this process
  }
}

/** The same server, each request a moment later: none is over before it can be hit. */
async function slowly({hostname, port}: URL): Promise<string> {
  const server = createServer({allowHalfOpen: true}, socket => {
    const later = new Transform({
      transform(chunk: Buffer, _, done) {
        if (/^(GET|HEAD|PUT|POST|DELETE) /.test(chunk.toString('latin1', 0, 8)))
          setTimeout(done, requestMs, null, chunk)
        else done(null, chunk)
      },
    })
    const behind = connect({host: hostname, port: Number(port), allowHalfOpen: true})
    for (const stream of [socket, later, behind]) {
      stream.on('error', () => {
        socket.destroy()
        behind.destroy()
      })
    }
    socket.unref().pipe(later).pipe(behind.unref()).pipe(socket)
    socket.on('close', () => behind.destroy())
  })
  server.unref()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
