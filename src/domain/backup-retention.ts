import type {BackupWork} from './recipes/backup-recipes.ts'
import type {BackupRecord} from './records.ts'

/** What one builds on, itself first and the whole one last. */
export function chainOf(first: BackupRecord, known: readonly BackupRecord[]): BackupRecord[] {
  const byId = new Map(known.map(one => [one.id, one]))
  const chain: BackupRecord[] = []
  for (let next: BackupRecord | undefined = first; next && !chain.includes(next); next = byId.get(next.baseId ?? '')) {
    chain.push(next)
  }
  return chain
}

/** Of the backups of a site in one place, the newest first: what goes when a new one is there that builds on `base`. */
export function superseded(
  newestFirst: readonly BackupRecord[],
  {format, keep, base}: {format: BackupWork['format']; keep: number; base: BackupRecord | undefined},
): Pick<BackupWork, 'expired' | 'letGo'> {
  const needed = new Set<string>()
  for (const first of [...newestFirst.slice(0, keep), ...(base ? [base] : [])]) {
    for (const {id} of chainOf(first, newestFirst)) needed.add(id)
  }
  const expired = newestFirst.filter(({id}) => !needed.has(id))
  // The next difference is that to the new one: no older snapshot serves any more.
  const unused = format === 'send' ? newestFirst : expired
  return {
    expired: expired.map(({id, filename}) => ({id, filename})),
    letGo: unused.flatMap(({id, snapshot}) => (snapshot ? [{id, snapshot}] : [])),
  }
}
