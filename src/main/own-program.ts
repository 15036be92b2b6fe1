import type {OwnProgram} from '../domain/ports.ts'

/** This program for other machines. It is packed when somebody asks first, and then kept: some seven MiB. */
export function ownProgram(version: string): () => Promise<OwnProgram> {
  let packing: Promise<OwnProgram> | undefined
  return () => {
    packing ??= import('../server/program-archive.ts').then(async ({archiveProgram}) => ({
      version,
      ...(await archiveProgram()),
    }))
    packing.catch(() => {
      packing = undefined
    })
    return packing
  }
}
