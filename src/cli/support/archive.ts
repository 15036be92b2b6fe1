import {promisify} from 'node:util'
import {gzip} from 'node:zlib'
import {encodeTarHead, tarEnd, tarPadding} from '../../contract/tar.ts'

export interface BundleFile {
  path: string
  text: string
}

/** A .tar.gz of texts, readable by their owner alone. */
export async function packFiles(files: readonly BundleFile[], modifiedAtMs: number): Promise<Buffer> {
  const blocks = files.flatMap(({path, text}) => {
    const content = Buffer.from(text)
    const head = encodeTarHead({
      ...{path, kind: 'file', mode: 0o600, uid: 0, gid: 0, modifiedAtMs, linkTarget: ''},
      sizeBytes: content.length,
    })
    return [head, content, tarPadding(content.length)]
  })
  return promisify(gzip)(Buffer.concat([...blocks, tarEnd]))
}
