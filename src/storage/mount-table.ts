import {readFile} from 'node:fs/promises'

/** What is mounted there by the kernel's own table; the last one where several lie on one another. */
export async function mountAt(path: string): Promise<{source: string; type: string; readOnly: boolean} | undefined> {
  const table = await readFile('/proc/self/mounts', 'utf8').catch(() => '')
  const rows = table.split('\n').map(line => line.split(' '))
  const [source = '', , type = '', options = ''] = rows.findLast(([, at]) => at === path) ?? []
  return source === '' ? undefined : {source, type, readOnly: options.split(',').includes('ro')}
}
