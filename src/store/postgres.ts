import type {Migration} from './migrations/migration.ts'
import type {OpenedStore} from './opened-store.ts'

export async function openPostgres(_: {url: string; migrations: readonly Migration[]}): Promise<OpenedStore> {
  throw new Error('not yet')
}
